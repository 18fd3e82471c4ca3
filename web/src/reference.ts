// What the selection is compared with: nothing, all that is shown, a class, the selection before.

import type { App } from "./app";
import { h } from "./dom";
import { notify } from "./notice";

export class Reference {
  readonly element: HTMLElement;
  rows: Uint32Array | null = null;
  title = "";
  readonly #select: HTMLSelectElement;
  /** Whether someone chose it; one that was only suggested goes with the selection. */
  chosen = false;

  constructor(
    readonly app: App,
    readonly changed: () => void,
  ) {
    this.#select = h("select", {
      id: "reference",
      "aria-label": "Reference spectrum",
      title: "What the mean of the selection is compared with",
      change: () => {
        this.chosen = true;
        void this.#choose();
      },
      focus: () => this.#options(),
    });
    this.#options();
    this.element = h("label", { class: "field inline" }, "against", this.#select);
    app.previous.watch(() => this.#options());
  }

  /** The column whose categories are offered: the classes, or what the points are coloured by. */
  get #classes(): string | undefined {
    const coloured = this.app.colour.value.data;
    if (coloured !== null && coloured.categories.length > 0) return coloured.column.key;
    return this.app.columns.list.find((one) => one.kind === "category" && one.name === "class")?.key;
  }

  #options(): void {
    const kept = this.#select.value;
    this.#select.replaceChildren(
      h("option", { value: "none" }, "nothing"),
      h("option", { value: "all" }, "all shown"),
      h("option", { value: "previous" }, "the selection before"),
    );
    const key = this.#classes;
    const names = key === undefined ? [] : (this.app.columns.info(key)?.categories ?? this.app.columns.peek(key)?.categories ?? []);
    if (names.length > 0) {
      const group = h("optgroup", { label: "A class" });
      names.slice(0, 100).forEach((name, i) => group.append(h("option", { value: `class ${i}` }, name)));
      this.#select.append(group);
    }
    this.#select.value = kept;
    if (this.#select.selectedIndex < 0) this.#select.value = "none";
  }

  /** The first mean of a session is shown against all, until someone chooses. */
  suggest(): void {
    if (this.chosen || this.#select.value !== "none") return;
    this.#select.value = "all";
    void this.#choose();
  }

  async #choose(): Promise<void> {
    const choice = this.#select.value;
    if (choice === "none") this.#set(null, "");
    else if (choice === "all") this.#set(this.app.shown, "mean ±σ of all shown");
    else if (choice === "previous") {
      const { rows, title } = this.app.previous.value;
      if (rows.length === 0) notify("There was no selection before this one");
      this.#set(rows.length > 0 ? rows : null, `the selection before: ${title}`);
    } else {
      const category = Number(choice.slice(6));
      const data = await this.app.columns.get(this.#classes!);
      this.#set(this.app.rowsOfCategory(data, category), `mean ±σ of ${data.categories[category]!}`);
    }
  }

  #set(rows: Uint32Array | null, title: string): void {
    this.rows = rows;
    this.title = title;
    this.changed();
  }
}
