// Small histograms of many columns: the selection over all that is shown.

import type { App } from "./app";
import type { ColumnData } from "./columns";
import { columnSelect } from "./column_select";
import { fill, h } from "./dom";
import { number } from "./format";
import { MISSING } from "./hexbin";
import { bins, drawBins } from "./histogram";
import { withUnit, type Column } from "./schema";

const FIRST = ["teff", "logg", "fe_h", "snr", "rv", "vsini", "vbroad", "alpha_fe"];
const BINS = 36;

export class HistogramsView {
  readonly element: HTMLElement;
  readonly #bar = h("div", { class: "view-bar" });
  readonly #grid = h("div", { class: "histograms" });
  #keys: string[];
  #seen = false;

  constructor(readonly app: App) {
    this.#keys = firstColumns(app, 8).map((one) => one.key);
    this.element = h("div", { class: "view" }, this.#bar, this.#grid);
    this.refreshColumns();
    app.selection.watch(() => void this.#draw());
    app.mask.watch(() => void this.#draw());
    app.dark.watch(() => void this.#draw());
    new ResizeObserver(() => void this.#draw()).observe(this.#grid);
  }

  refreshColumns(): void {
    const numbers = this.app.columns.list.filter((one) => one.kind === "number");
    const adder = columnSelect(
      numbers,
      "",
      (key) => {
        adder.value = "";
        if (key && !this.#keys.includes(key)) this.#keys.unshift(key);
        void this.#draw();
      },
      { "aria-label": "Add a histogram" },
      ["", "+ column"],
    );
    fill(
      this.#bar,
      adder,
      h("span", { class: "key" }, h("span", { class: "swatch bin" }), "all shown"),
      h("span", { class: "key" }, h("span", { class: "swatch chosen" }), "selection, each to its peak"),
    );
  }

  shown(): void {
    this.#seen = true;
    void this.#draw();
  }

  hidden(): void {
    this.#seen = false;
  }

  async #draw(): Promise<void> {
    if (!this.#seen) return;
    const keys = [...this.#keys];
    const data = await Promise.all(keys.map((key) => this.app.columns.get(key).catch(() => null)));
    const cells = data.filter((one) => one !== null).map((one) => ({ one, ...this.#cell(one) }));
    fill(this.#grid, ...cells.map(({ figure }) => figure));
    for (const { one, canvas, ends } of cells) this.#paint(one, canvas, ends);
  }

  #cell(data: ColumnData): { figure: HTMLElement; canvas: HTMLCanvasElement; ends: HTMLElement } {
    const canvas = h("canvas", { role: "img", "aria-label": `Histogram of ${withUnit(data.column)}` });
    const ends = h("div", { class: "ends" });
    const { rows } = this.app.selection.value;
    const [median] = quantiles(data.values, rows, [0.5]);
    const figure = h(
      "figure",
      {},
      h(
        "figcaption",
        {},
        h("span", {}, withUnit(data.column)),
        median === undefined ? null : h("span", { class: "chosen-text" }, `median ${number(median, 4)}`),
      ),
      canvas,
      ends,
    );
    return { figure, canvas, ends };
  }

  #paint(data: ColumnData, canvas: HTMLCanvasElement, ends: HTMLElement): void {
    const { min, max, low, high } = data.column;
    const [l, u] = [low ?? min ?? 0, high ?? max ?? 1];
    const pad = 0.12 * (u - l || 1);
    const [least, most] = [Math.max(min ?? l, l - pad), Math.min(max ?? u, u + pad)];
    const { rows } = this.app.selection.value;
    const { keep } = this.app.mask.value;
    const style = getComputedStyle(canvas);
    drawBins(canvas, [
      { bins: bins(data.values, least, most, BINS, keep), colour: style.getPropertyValue("--bin") },
      ...(rows.length > 0
        ? [
            {
              bins: bins(data.values, least, most, BINS, null, rows),
              colour: style.getPropertyValue("--selection"),
              outline: true,
            },
          ]
        : []),
    ]);
    fill(ends, h("span", {}, number(least, 4)), h("span", {}, number(most, 4)));
  }
}

/** The columns that say most of a star, then the others in the store's order. */
export function firstColumns(app: App, n: number): Column[] {
  const known = FIRST.map((name) => app.columns.named(name)).filter(
    (one): one is Column => one?.kind === "number" && varies(one),
  );
  const others = app.columns.list.filter(
    (one) => one.kind === "number" && varies(one) && !known.includes(one) && !/(_err$|^flag|^ra$|^dec$|^field_)/.test(one.name),
  );
  return [...known, ...others].slice(0, n);
}

/** Whether a column says anything: a constant or an empty one does not. */
const varies = ({ min, max }: Column): boolean => typeof min === "number" && typeof max === "number" && max > min;

/** Quantiles of the rows that have a value; none where none has. */
export function quantiles(values: Float32Array, rows: Uint32Array, qs: readonly number[]): number[] {
  const found = new Float32Array(rows.length);
  let n = 0;
  for (const row of rows) {
    const value = values[row]!;
    if (value > MISSING) found[n++] = value;
  }
  if (n === 0) return [];
  const sorted = found.subarray(0, n).sort();
  return qs.map((q) => sorted[Math.round(q * (n - 1))]!);
}
