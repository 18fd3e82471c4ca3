// The rows as a table: only those in sight are in the page, so its length does not matter.

import { api } from "./api";
import { report, type App } from "./app";
import { columnSelect } from "./column_select";
import type { ColumnData } from "./columns";
import { fill, h } from "./dom";
import { number, plural } from "./format";
import { MISSING } from "./hexbin";
import { firstColumns } from "./histograms_view";
import { orderBy } from "./order_by";
import { withUnit } from "./schema";

const HEIGHT = 26;
const AHEAD = 8;

export class TableView {
  readonly element: HTMLElement;
  readonly #bar = h("div", { class: "view-bar" });
  readonly #summary = h("span", { class: "note" });
  readonly #head = h("div", { class: "table-row head", role: "row" });
  readonly #body = h("div", { class: "table-body", role: "rowgroup" });
  readonly #scroll: HTMLElement;
  readonly #ids = new Map<number, string>();
  #keys: string[];
  #data: ColumnData[] = [];
  #rows: Uint32Array = new Uint32Array(0);
  #sort: { key: string; down: boolean } | null = null;
  #seen = false;
  #frame = 0;

  constructor(readonly app: App) {
    const classes = app.columns.list.filter((one) => one.kind === "category" && one.name === "class");
    this.#keys = [...classes.slice(0, 1), ...firstColumns(app, 7)].map((one) => one.key);
    this.#scroll = h(
      "div",
      { class: "table-scroll", tabindex: 0, role: "table", "aria-label": "Objects", keydown: (e: KeyboardEvent) => this.#key(e) },
      h("div", { role: "rowgroup", class: "table-head" }, this.#head),
      this.#body,
    );
    this.#scroll.addEventListener("scroll", () => this.#ask());
    this.element = h("div", { class: "view" }, this.#bar, this.#scroll);
    this.refreshColumns();
    for (const signal of [app.selection, app.mask]) signal.watch(() => void this.#fill());
    app.object.watch(() => this.#ask());
    new ResizeObserver(() => this.#ask()).observe(this.#scroll);
  }

  refreshColumns(): void {
    const adder = columnSelect(
      this.app.columns.list.filter((one) => one.kind !== "text"),
      "",
      (key) => {
        adder.value = "";
        if (key === "") return;
        this.#keys = this.#keys.includes(key) ? this.#keys.filter((one) => one !== key) : [...this.#keys, key];
        void this.#fill();
      },
      { "aria-label": "Add or remove a column" },
      ["", "+/− column"],
    );
    fill(this.#bar, adder, this.#summary);
  }

  shown(): void {
    this.#seen = true;
    void this.#fill();
  }

  hidden(): void {
    this.#seen = false;
  }

  async #fill(): Promise<void> {
    if (!this.#seen) return;
    try {
      this.#data = await Promise.all(this.#keys.map((key) => this.app.columns.get(key)));
    } catch (error) {
      report(error);
      return;
    }
    const { rows, title } = this.app.selection.value;
    const chosen = rows.length > 0;
    this.#rows = this.#sorted(chosen ? rows : this.app.shown);
    this.#summary.textContent = chosen
      ? `${plural(rows.length, "object")} of the selection: ${title}`
      : `${plural(this.#rows.length, "object")}, all that is shown`;
    this.#scroll.setAttribute("aria-rowcount", String(this.#rows.length + 1));
    this.#drawHead();
    this.#body.style.height = `${this.#rows.length * HEIGHT}px`;
    this.#scroll.scrollTop = 0;
    this.#draw();
  }

  #sorted(rows: Uint32Array): Uint32Array {
    const data = this.#data.find((one) => one.column.key === this.#sort?.key);
    if (this.#sort === null || data === undefined) {
      return this.#sort?.key === "row" && this.#sort.down ? rows.slice().reverse() : rows;
    }
    const rank = data.categories.map((_, i) => i);
    rank.sort((a, b) => data.categories[a]!.localeCompare(data.categories[b]!));
    const place = new Float32Array(rank.length);
    rank.forEach((category, i) => (place[category] = i));
    const words = data.categories.length > 0;
    const key = (row: number): number => {
      const value = data.values[row]!;
      return words && value > MISSING ? place[value]! : value;
    };
    return orderBy(rows, key, this.#sort.down);
  }

  #drawHead(): void {
    const cell = (key: string, text: string, numeric: boolean, title?: string | null): HTMLElement => {
      const mine = this.#sort?.key === key;
      const arrow = mine ? (this.#sort!.down ? " ↓" : " ↑") : "";
      return h(
        "div",
        {
          class: numeric ? "table-cell numeric" : "table-cell",
          role: "columnheader",
          "aria-sort": mine ? (this.#sort!.down ? "descending" : "ascending") : "none",
        },
        h("button", { type: "button", title, click: () => this.#sortBy(key) }, text + arrow),
      );
    };
    fill(
      this.#head,
      cell("row", "tsne_id", true),
      h("div", { class: "table-cell id", role: "columnheader" }, "id"),
      ...this.#data.map(({ column, categories }) =>
        cell(column.key, withUnit(column), categories.length === 0, column.description),
      ),
    );
  }

  #sortBy(key: string): void {
    this.#sort = { key, down: this.#sort?.key === key ? !this.#sort.down : key !== "row" };
    void this.#fill();
  }

  #ask(): void {
    if (!this.#seen || this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  #draw(): void {
    const first = Math.max(0, Math.floor(this.#scroll.scrollTop / HEIGHT) - AHEAD);
    const last = Math.min(
      this.#rows.length,
      Math.ceil((this.#scroll.scrollTop + this.#scroll.clientHeight) / HEIGHT) + AHEAD,
    );
    const lines: HTMLElement[] = [];
    for (let i = first; i < last; i++) lines.push(this.#line(i));
    fill(this.#body, ...lines);
    void this.#name(this.#rows.subarray(first, last));
  }

  #line(i: number): HTMLElement {
    const row = this.#rows[i]!;
    const cells = this.#data.map((data) => {
      const value = data.values[row]!;
      const text = value <= MISSING ? "–" : data.categories.length ? data.categories[value]! : number(value);
      return h("div", { class: data.categories.length ? "table-cell" : "table-cell numeric", role: "cell" }, text);
    });
    const line = h(
      "div",
      {
        class: row === this.app.object.value ? "table-row current" : "table-row",
        role: "row",
        "aria-rowindex": i + 2,
        "data-row": row,
        click: () => this.app.open(row),
      },
      h("div", { class: "table-cell numeric", role: "cell" }, String(row)),
      h("div", { class: "table-cell id", role: "cell" }, this.#ids.get(row) ?? "…"),
      ...cells,
    );
    line.style.top = `${i * HEIGHT}px`;
    return line;
  }

  async #name(rows: Uint32Array): Promise<void> {
    const wanted = rows.filter((row) => !this.#ids.has(row));
    if (wanted.length === 0) return;
    try {
      const ids = await api.ids(wanted);
      wanted.forEach((row, i) => this.#ids.set(row, ids[i] ?? ""));
    } catch {
      return; // the ids stay dots; the banner says why
    }
    for (const line of this.#body.children) {
      const row = Number((line as HTMLElement).dataset.row);
      line.children[1]!.textContent = this.#ids.get(row) ?? "…";
    }
  }

  #key(event: KeyboardEvent): void {
    const by = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (by === 0 || this.#rows.length === 0) return;
    event.preventDefault();
    event.stopPropagation();
    const here = this.app.object.value === null ? -1 : this.#rows.indexOf(this.app.object.value);
    const next = Math.min(this.#rows.length - 1, Math.max(0, here + by));
    this.app.open(this.#rows[next]!);
    const top = next * HEIGHT;
    const view = this.#scroll.clientHeight - 2 * HEIGHT;
    if (top < this.#scroll.scrollTop) this.#scroll.scrollTop = top;
    else if (top > this.#scroll.scrollTop + view) this.#scroll.scrollTop = top - view;
  }
}
