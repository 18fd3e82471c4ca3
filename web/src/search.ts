// Find an object by id, star or tsne_id: a list under the box, keys up and down.

import { api } from "./api";
import { report, type App } from "./app";
import { fill, h, icon } from "./dom";
import { count } from "./format";

const WAIT = 140; // ms of silence before the server is asked

export class Search {
  readonly element: HTMLElement;
  readonly #input: HTMLInputElement;
  readonly #list = h("ul", { class: "found", role: "listbox", id: "found", hidden: true, "aria-label": "Found" });
  #stop = new AbortController();
  #timer = 0;
  #rows: number[] = [];
  #at = -1;

  constructor(
    readonly app: App,
    readonly opened: (row: number) => void,
  ) {
    this.#input = h("input", {
      type: "search",
      id: "search",
      placeholder: "Search by id or tsne_id",
      "aria-label": "Search by id or tsne_id",
      role: "combobox",
      "aria-expanded": "false",
      "aria-controls": "found",
      autocomplete: "off",
      spellcheck: "false",
      input: () => this.#soon(),
      keydown: (event: KeyboardEvent) => this.#key(event),
      blur: () => window.setTimeout(() => this.#close(), 150),
    });
    this.element = h("div", { class: "search" }, icon("search"), this.#input, this.#list);
  }

  focus(): void {
    this.#input.focus();
    this.#input.select();
  }

  #soon(): void {
    window.clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => void this.#ask(), WAIT);
  }

  async #ask(): Promise<void> {
    const text = this.#input.value.trim();
    this.#stop.abort();
    if (text === "") return this.#close();
    this.#stop = new AbortController();
    try {
      const { rows, ids, total } = await api.search(text, this.#stop.signal);
      this.#show(rows, ids, total);
    } catch (error) {
      report(error);
    }
  }

  #show(rows: number[], ids: string[], total: number): void {
    this.#rows = rows;
    this.#at = rows.length > 0 ? 0 : -1;
    const more = total - rows.length;
    fill(
      this.#list,
      ...rows.map((row, i) =>
        h(
          "li",
          { role: "option", id: `found-${i}`, pointerdown: () => this.#open(i) },
          h("span", {}, ids[i] ?? ""),
          h("span", { class: "note" }, `tsne_id ${row}`),
        ),
      ),
      rows.length === 0 ? h("li", { class: "note" }, "Nothing of that name") : null,
      more > 0 ? h("li", { class: "note" }, `and ${count(more)} more`) : null,
    );
    this.#list.hidden = false;
    this.#input.setAttribute("aria-expanded", "true");
    this.#light();
  }

  #light(): void {
    [...this.#list.children].forEach((item, i) => item.classList.toggle("lit", i === this.#at));
    if (this.#at >= 0) this.#input.setAttribute("aria-activedescendant", `found-${this.#at}`);
    this.#list.children[this.#at]?.scrollIntoView({ block: "nearest" });
  }

  #key(event: KeyboardEvent): void {
    event.stopPropagation();
    if (event.key === "Escape") {
      this.#close();
      this.#input.blur();
    } else if (event.key === "Enter") void this.#enter();
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const by = event.key === "ArrowDown" ? 1 : -1;
      if (this.#rows.length > 0) this.#at = (this.#at + by + this.#rows.length) % this.#rows.length;
      this.#light();
    }
  }

  async #enter(): Promise<void> {
    if (this.#list.hidden) {
      window.clearTimeout(this.#timer);
      await this.#ask();
    }
    if (this.#at >= 0) this.#open(this.#at);
  }

  #open(i: number): void {
    const row = this.#rows[i];
    if (row === undefined) return;
    this.#close();
    this.#input.blur();
    this.app.open(row);
    this.opened(row);
  }

  #close(): void {
    this.#list.hidden = true;
    this.#input.setAttribute("aria-expanded", "false");
    this.#input.removeAttribute("aria-activedescendant");
  }
}
