// What the points' colours mean: column, colour bar with its histogram and range, or a legend.

import type { App } from "./app";
import { MAP_NAMES, css, type MapName } from "./colour_map";
import { columnSelect } from "./column_select";
import { extent, defaultRange, type ColumnData } from "./columns";
import { button, checkbox, field, fill, h, select, swatch } from "./dom";
import { count } from "./format";
import { bins, drawBins, surface } from "./histogram";
import { MISSING } from "./hexbin";
import { RangeSlider } from "./range_slider";
import { titleOf } from "./schema";

const BINS = 64;
const QUICK = ["teff", "logg", "fe_h", "snr", "class"];

export class ColourPanel {
  readonly element: HTMLElement;
  readonly #choice = h("div", {});
  readonly #title = h("p", { class: "bar-title" });
  readonly #histogram = h("canvas", { class: "bar-histogram", "aria-hidden": "true" });
  readonly #bar = h("canvas", { class: "colour-bar", role: "img" });
  readonly #slider: RangeSlider;
  readonly #numeric: HTMLElement;
  readonly #legend = h("ul", { class: "legend", "aria-label": "Categories" });
  readonly #legendTools: HTMLElement;
  #ends: [number, number] = [0, 1];
  #endsOf: ColumnData | null = null;
  #log!: HTMLInputElement;

  constructor(readonly app: App) {
    this.#slider = new RangeSlider("Range of the colours", (range) => app.recolour(range));
    const log = checkbox("log", false, (on) => app.recolour({ log: on }));
    this.#log = log.querySelector("input")!;
    this.#numeric = h(
      "div",
      {},
      this.#histogram,
      this.#bar,
      this.#slider.element,
      h(
        "div",
        { class: "row" },
        select(MAP_NAMES, app.colour.value.map, (map) => app.recolour({ map: map as MapName }), {
          "aria-label": "Colour map",
          class: "grow",
        }),
        checkbox("reverse", false, (reversed) => app.recolour({ reversed })),
        log,
      ),
      h(
        "div",
        { class: "row" },
        button("2–98 %", () => this.#reset(), { class: "small", title: "The middle 96 % of the values" }),
        button("all", () => this.#full(), { class: "small" }),
        button("shown", () => this.#toShown(), { class: "small", title: "2–98 % of what passes the filter" }),
      ),
    );
    this.#legendTools = h(
      "div",
      { class: "row" },
      button("show all", () => this.#clear(), { class: "small" }),
    );
    this.element = h(
      "section",
      { class: "group", "aria-label": "Colour" },
      h("h2", {}, "Colour"),
      this.#choice,
      this.#title,
      this.#numeric,
      this.#legend,
      this.#legendTools,
    );
    this.refreshColumns();
    app.colour.watch(() => this.#draw());
    app.dark.watch(() => this.#draw());
    app.mask.watch(() => this.#draw());
    app.hidden.watch(() => this.#draw());
    new ResizeObserver(() => this.#draw()).observe(this.#bar);
  }

  /** The list of columns has changed. */
  refreshColumns(): void {
    const { app } = this;
    const columns = app.columns.list.filter((one) => one.kind !== "text");
    const key = app.colour.value.data?.column.key ?? "";
    fill(
      this.#choice,
      field(
        "Colour by",
        columnSelect(columns, key, (chosen) => void app.colourBy(chosen || null), {
          id: "colour-by",
        }, ["", "one colour"]),
      ),
      h("div", { class: "row quick", role: "group", "aria-label": "Colour by, at once" }, ...this.#quick()),
    );
    this.#draw();
  }

  /** The columns that one switches between all the time. */
  #quick(): HTMLElement[] {
    const named = QUICK.map((name) => this.app.columns.named(name)).filter((one) => one !== undefined);
    return named
      .filter((one) => one.kind !== "number" || typeof one.max === "number")
      .map((one) =>
        button(titleOf(one), () => void this.app.colourBy(one.key), { class: "small", "data-key": one.key }),
      );
  }

  #draw(): void {
    const { data } = this.app.colour.value;
    for (const one of this.#choice.querySelectorAll<HTMLElement>("[data-key]")) {
      one.setAttribute("aria-pressed", String(one.dataset.key === data?.column.key));
    }
    const chooser = this.#choice.querySelector("select")!;
    chooser.value = data?.column.key ?? "";
    const legend = data !== null && data.categories.length > 0;
    this.#numeric.hidden = data === null || legend;
    this.#legend.hidden = this.#legendTools.hidden = !legend;
    this.#title.hidden = data === null;
    if (data === null) return;
    const { description } = data.column;
    this.#title.hidden = !description || description === titleOf(data.column);
    this.#title.textContent = description ?? "";
    if (legend) this.#drawLegend(data);
    else this.#drawBar(data);
  }

  // ------------------------------------------------------------------------------ numbers

  #drawBar(data: ColumnData): void {
    const { low, high, log } = this.app.colour.value;
    if (this.#endsOf !== data) {
      this.#ends = extent(data.values);
      this.#endsOf = data;
    }
    const [least, most] = [Math.min(this.#ends[0], low), Math.max(this.#ends[1], high)];
    this.#log.checked = log;
    this.#log.disabled = most <= 0;
    this.#slider.set(least, most, { low, high });
    const ink = this.app.ink;
    const colourAt = (t: number): string => {
      const entry = 4 * Math.round(Math.min(1, Math.max(0, t)) * (ink.table.length / 4 - 1));
      return css([ink.table[entry]! / 255, ink.table[entry + 1]! / 255, ink.table[entry + 2]! / 255]);
    };
    const shade = (value: number): number =>
      log
        ? Math.log(Math.max(value, 1e-30) / ink.low) / Math.log(ink.high / ink.low)
        : (value - low) / (high - low);
    const { keep } = this.app.mask.value;
    const all = bins(data.values, least, most, BINS, null);
    const shown = keep === null ? all : bins(data.values, least, most, BINS, keep);
    const grey = css(ink.missing);
    const at = (bin: number): number => least + ((bin + 0.5) / BINS) * (most - least);
    drawBins(
      this.#histogram,
      [
        ...(keep === null ? [] : [{ bins: all, colour: grey }]),
        { bins: shown, colour: (bin: number) => colourAt(shade(at(bin))) },
      ],
      true,
    );
    const place = surface(this.#bar);
    if (place === null) return;
    for (let x = 0; x < place.width; x++) {
      place.context.fillStyle = colourAt(shade(least + ((x + 0.5) / place.width) * (most - least)));
      place.context.fillRect(x, 0, 1, place.height);
    }
    this.#bar.setAttribute("aria-label", `Colours run from ${low} to ${high}`);
  }

  #reset(): void {
    const { data } = this.app.colour.value;
    if (data === null) return;
    const [low, high] = defaultRange(data);
    this.app.recolour({ low, high });
  }

  #full(): void {
    this.app.recolour({ low: this.#ends[0], high: this.#ends[1] });
  }

  #toShown(): void {
    const { data } = this.app.colour.value;
    if (data === null) return;
    const { keep } = this.app.mask.value;
    const values = data.values.filter((v, row) => v > MISSING && (keep === null || keep[row] === 1)).sort();
    if (values.length < 2) return;
    const low = values[Math.floor(0.02 * (values.length - 1))]!;
    const high = values[Math.ceil(0.98 * (values.length - 1))]!;
    if (high > low) this.app.recolour({ low, high });
  }

  // ------------------------------------------------------------------------------ categories

  #drawLegend(data: ColumnData): void {
    const colours = this.app.categoryColours(data);
    const counts = new Uint32Array(data.categories.length);
    for (const value of data.values) if (value > MISSING) counts[value]!++;
    const order = [...counts.keys()].filter((i) => counts[i]! > 0).sort((a, b) => counts[b]! - counts[a]!);
    const names = new Map(this.app.schema.classes.map((one) => [one.code, one.name]));
    const meaning = (code: string): string =>
      code.split("_").map((one) => names.get(one) ?? "").filter(Boolean).join(", ");
    fill(
      this.#legend,
      ...order.slice(0, 200).map((i) =>
        this.#entry(data, i, colours[i]!, counts[i]!, meaning(data.categories[i]!)),
      ),
    );
  }

  #entry(data: ColumnData, i: number, colour: string, n: number, meaning: string): HTMLElement {
    const { app } = this;
    const name = data.categories[i]!;
    const hidden = app.hidden.value.has(i);
    const lit = app.colour.value.highlight === i;
    return h(
      "li",
      { class: hidden ? "off" : lit ? "lit" : "" },
      h(
        "button",
        {
          type: "button",
          class: "legend-name",
          "aria-pressed": String(lit),
          title: `${meaning || name}: click to highlight`,
          click: () => app.recolour({ highlight: lit ? null : i }),
        },
        swatch(colour),
        h("span", { class: "name" }, name),
        meaning && meaning !== name ? h("span", { class: "meaning" }, meaning) : null,
        h("span", { class: "count" }, count(n)),
      ),
      button(hidden ? "show" : "hide", () => this.#toggle(i), {
        class: "link",
        "aria-label": `${hidden ? "Show" : "Hide"} ${name}`,
      }),
      button("select", () => app.select(app.rowsOfCategory(data, i), name), {
        class: "link",
        "aria-label": `Select all of ${name}`,
      }),
    );
  }

  #toggle(i: number): void {
    const hidden = new Set(this.app.hidden.value);
    if (!hidden.delete(i)) hidden.add(i);
    this.app.hidden.set(hidden);
  }

  #clear(): void {
    this.app.hidden.set(new Set());
    this.app.recolour({ highlight: null });
  }
}
