// What is selected, in numbers, and what can be done with it.

import type { App } from "./app";
import { button, fill, h, swatch } from "./dom";
import { exportRows, FORMATS, sendRows } from "./exports";
import { count, number, plural } from "./format";
import { MISSING } from "./hexbin";
import { firstColumns, quantiles } from "./histograms_view";
import { withUnit } from "./schema";

export class SelectionPanel {
  readonly element = h("div", { class: "panel selection" });
  #seen = false;
  #job = 0;

  constructor(
    readonly app: App,
    readonly go: { label: () => void; table: () => void },
  ) {
    app.selection.watch(() => void this.#draw(), true);
    app.colour.watch(() => void this.#draw());
  }

  shown(): void {
    this.#seen = true;
    void this.#draw();
  }

  async #draw(): Promise<void> {
    const { app } = this;
    const { rows, title } = app.selection.value;
    if (rows.length === 0) {
      fill(
        this.element,
        h("p", { class: "empty" }, "Nothing is selected. Draw a lasso (L), a rectangle (R), or click hexagons (H)."),
        h("div", { class: "row" }, button("Select all that is shown", () => app.select(app.shown, "All shown"))),
      );
      return;
    }
    const numbers = h("div", {});
    fill(
      this.element,
      h(
        "header",
        { class: "object-head" },
        h("h2", { class: "selection-count", id: "selection-count" }, plural(rows.length, "object")),
        h("p", { class: "note" }, `${title} · ${number((100 * rows.length) / app.n, 3)} % of all`),
      ),
      h(
        "div",
        { class: "row wrap" },
        button("Label …", () => this.go.label(), { class: "primary" }),
        button("Table", () => this.go.table()),
        button("Clear", () => app.clearSelection()),
      ),
      h(
        "section",
        { class: "block" },
        h("h3", {}, "Export"),
        h(
          "div",
          { class: "row wrap" },
          ...FORMATS.map(([format, text]) =>
            button(text, () => void exportRows(app, rows, format), { class: "small", id: `export-${format}` }),
          ),
          button("Send by SAMP", () => void sendRows(rows), {
            class: "small",
            title: "To TOPCAT, Aladin and others that run on this machine",
          }),
        ),
      ),
      this.#composition(rows),
      numbers,
    );
    if (this.#seen) await this.#numbers(rows, numbers);
  }

  #composition(rows: Uint32Array): HTMLElement | null {
    const { data } = this.app.colour.value;
    if (data === null || data.categories.length === 0) return null;
    const counts = new Uint32Array(data.categories.length);
    for (const row of rows) if (data.values[row]! > MISSING) counts[data.values[row]!]!++;
    const colours = this.app.categoryColours(data);
    const order = [...counts.keys()].filter((i) => counts[i]! > 0).sort((a, b) => counts[b]! - counts[a]!);
    return h(
      "section",
      { class: "block" },
      h("h3", {}, withUnit(data.column)),
      h(
        "ul",
        { class: "shares" },
        ...order.slice(0, 12).map((i) => {
          const bar = h("span", { class: "share", "aria-hidden": "true" });
          bar.style.width = `${(100 * counts[i]!) / rows.length}%`;
          bar.style.background = colours[i]!;
          return h(
            "li",
            {},
            h("span", { class: "share-name" }, swatch(colours[i]!), data.categories[i]!),
            h("span", { class: "share-count" }, `${count(counts[i]!)} · ${number((100 * counts[i]!) / rows.length, 3)} %`),
            bar,
          );
        }),
      ),
    );
  }

  async #numbers(rows: Uint32Array, place: HTMLElement): Promise<void> {
    const job = ++this.#job;
    const columns = firstColumns(this.app, 8);
    const data = await Promise.all(columns.map((one) => this.app.columns.get(one.key).catch(() => null)));
    if (job !== this.#job) return;
    const lines: HTMLElement[] = [];
    for (const one of data) {
      if (one === null) continue;
      const [low, middle, high] = quantiles(one.values, rows, [0.16, 0.5, 0.84]);
      if (middle === undefined) continue;
      lines.push(
        h(
          "tr",
          {},
          h("th", { scope: "row" }, withUnit(one.column)),
          h("td", {}, number(middle, 4)),
          h("td", {}, `${number(low, 3)} … ${number(high, 3)}`),
        ),
      );
      await new Promise((resume) => window.setTimeout(resume)); // large selections: let the page breathe
      if (job !== this.#job) return;
    }
    if (lines.length === 0) return;
    const head = h("tr", {}, h("th", {}), h("th", { scope: "col" }, "median"), h("th", { scope: "col" }, "16–84 %"));
    fill(
      place,
      h("section", { class: "block" }, h("h3", {}, "Labels"), h("table", { class: "numbers" }, h("thead", {}, head), h("tbody", {}, ...lines))),
    );
  }
}
