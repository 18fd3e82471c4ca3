// Tabs by the book: arrows move between them, and a panel learns when it is seen.

import { h, type Child } from "./dom";

export interface Tab {
  id: string;
  title: string;
  panel: HTMLElement;
  shown?: () => void;
}

export class Tabs {
  readonly element: HTMLElement;
  readonly list: HTMLElement;
  #current = "";

  constructor(
    readonly label: string,
    readonly tabs: readonly Tab[],
    ...extra: Child[]
  ) {
    this.list = h("div", { class: "tab-list", role: "tablist", "aria-label": label });
    const panels = h("div", { class: "tab-panels" });
    for (const tab of tabs) {
      this.list.append(
        h(
          "button",
          {
            type: "button",
            role: "tab",
            id: `tab-${tab.id}`,
            "aria-controls": `panel-${tab.id}`,
            click: () => this.show(tab.id),
            keydown: (event: KeyboardEvent) => this.#key(event),
          },
          tab.title,
        ),
      );
      tab.panel.id = `panel-${tab.id}`;
      tab.panel.setAttribute("role", "tabpanel");
      tab.panel.setAttribute("aria-labelledby", `tab-${tab.id}`);
      panels.append(tab.panel);
    }
    const bar = h("div", { class: "tab-bar" }, this.list, ...extra);
    this.element = h("div", { class: "tabs" }, bar, panels);
    this.show(tabs[0]!.id);
  }

  get current(): string {
    return this.#current;
  }

  show(id: string): void {
    this.#current = id;
    for (const tab of this.tabs) {
      const on = tab.id === id;
      const head = this.list.querySelector(`#tab-${tab.id}`)!;
      head.setAttribute("aria-selected", String(on));
      (head as HTMLElement).tabIndex = on ? 0 : -1;
      tab.panel.hidden = !on;
      if (on) tab.shown?.();
    }
  }

  #key(event: KeyboardEvent): void {
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (by === 0) return;
    event.preventDefault();
    event.stopPropagation();
    const here = this.tabs.findIndex((tab) => tab.id === this.#current);
    const next = this.tabs[(here + by + this.tabs.length) % this.tabs.length]!;
    this.show(next.id);
    (this.list.querySelector(`#tab-${next.id}`) as HTMLElement).focus();
  }
}
