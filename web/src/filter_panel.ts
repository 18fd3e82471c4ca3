// Filters: a range or categories per column, each with its histogram, and an expression.

import { api, ApiError } from "./api";
import { report, type App } from "./app";
import { columnSelect } from "./column_select";
import { extent, type ColumnData } from "./columns";
import { button, checkbox, fill, h, icon } from "./dom";
import type { CategoryFilter, Filter, RangeFilter } from "./filter";
import { count } from "./format";
import { MISSING } from "./hexbin";
import { bins, drawBins } from "./histogram";
import { RangeSlider } from "./range_slider";
import { withUnit } from "./schema";

const BINS = 64;

export class FilterPanel {
  readonly element: HTMLElement;
  readonly #adder = h("div", {});
  readonly #cards = h("div", { class: "cards" });
  readonly #error = h("p", { class: "error", role: "alert", hidden: true });
  readonly #summary = h("p", { class: "summary", "aria-live": "polite" });
  readonly #text: HTMLInputElement;
  readonly #redraws: (() => void)[] = [];

  constructor(readonly app: App) {
    this.#text = h("input", {
      type: "text",
      id: "expression",
      placeholder: "teff > 5000 and snr >= 40",
      spellcheck: "false",
      autocomplete: "off",
      "aria-label": "Filter by an expression over the columns",
      keydown: (event: KeyboardEvent) => {
        if (event.key === "Enter") void this.#express();
      },
    });
    this.element = h(
      "section",
      { class: "group", "aria-label": "Filter" },
      h("h2", {}, "Filter", button("clear", () => this.clear(), { class: "link heading-action" })),
      this.#summary,
      h("div", { class: "row" }, this.#text, button("Apply", () => void this.#express(), { class: "small" })),
      this.#error,
      this.#adder,
      this.#cards,
    );
    this.refreshColumns();
    app.mask.watch(() => {
      this.#summary.textContent = app.summary;
      for (const redraw of this.#redraws) redraw();
    }, true);
    app.dark.watch(() => this.#redraws.forEach((redraw) => redraw()));
  }

  refreshColumns(): void {
    const columns = this.app.columns.list.filter((one) => one.kind !== "text");
    const adder = columnSelect(
      columns,
      "",
      (key) => {
        adder.value = "";
        if (key) void this.add(key);
      },
      { "aria-label": "Add a filter on a column", id: "add-filter" },
      ["", "+ filter by a column"],
    );
    fill(this.#adder, adder);
  }

  focus(): void {
    this.#text.focus();
  }

  clear(): void {
    this.#text.value = "";
    this.#error.hidden = true;
    this.#cards.replaceChildren();
    this.#redraws.length = 0;
    this.app.hidden.set(new Set());
    this.app.expression.set({ text: "", mask: null });
    this.app.filters.set([]);
  }

  async #express(): Promise<void> {
    const text = this.#text.value.trim();
    this.#error.hidden = true;
    if (text === "") {
      this.app.expression.set({ text: "", mask: null });
      return;
    }
    try {
      this.app.expression.set({ text, mask: await api.filter(text) });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#error.textContent = error.message;
      this.#error.hidden = false;
    }
  }

  async add(key: string): Promise<void> {
    let data: ColumnData;
    try {
      data = await this.app.columns.get(key);
    } catch (error) {
      report(error);
      return;
    }
    if (this.app.filters.value.some((one) => one.data.column.key === key)) return;
    const filter: Filter =
      data.categories.length > 0 ? { kind: "category", data, hidden: new Set() } : range(data);
    this.app.filters.set([...this.app.filters.value, filter]);
    this.#cards.append(filter.kind === "range" ? this.#rangeCard(filter) : this.#categoryCard(filter));
    for (const redraw of this.#redraws) redraw();
  }

  #frame(filter: Filter, ...inside: HTMLElement[]): HTMLElement {
    const name = withUnit(filter.data.column);
    const card = h(
      "div",
      { class: "card", role: "group", "aria-label": `Filter on ${name}` },
      h(
        "div",
        { class: "card-head" },
        h("span", { title: filter.data.column.description }, name),
        h(
          "button",
          {
            type: "button",
            class: "plain",
            "aria-label": `Remove the filter on ${name}`,
            click: () => {
              card.remove();
              this.app.filters.set(this.app.filters.value.filter((one) => one !== filter));
            },
          },
          icon("close"),
        ),
      ),
      ...inside,
    );
    return card;
  }

  #rangeCard(filter: RangeFilter): HTMLElement {
    const canvas = h("canvas", { class: "bar-histogram", "aria-hidden": "true" });
    const slider = new RangeSlider(withUnit(filter.data.column), ({ low, high }) => {
      filter.low = low;
      filter.high = high;
      this.app.filters.set([...this.app.filters.value]);
    });
    slider.set(filter.least, filter.most, filter);
    const all = bins(filter.data.values, filter.least, filter.most, BINS, null);
    this.#redraws.push(() => {
      if (!canvas.isConnected) return;
      const style = getComputedStyle(canvas);
      const passing = bins(filter.data.values, filter.least, filter.most, BINS, this.app.mask.value.keep);
      drawBins(
        canvas,
        [
          { bins: all, colour: style.getPropertyValue("--bin") },
          { bins: passing, colour: style.getPropertyValue("--accent") },
        ],
        true,
      );
    });
    return this.#frame(filter, canvas, slider.element);
  }

  #categoryCard(filter: CategoryFilter): HTMLElement {
    const counts = new Uint32Array(filter.data.categories.length);
    for (const value of filter.data.values) if (value > MISSING) counts[value]!++;
    const list = h("div", { class: "choices" });
    filter.data.categories.forEach((name, i) => {
      if (counts[i] === 0) return;
      list.append(
        checkbox(`${name} (${count(counts[i]!)})`, true, (on) => {
          if (on) filter.hidden.delete(i);
          else filter.hidden.add(i);
          this.app.filters.set([...this.app.filters.value]);
        }),
      );
    });
    return this.#frame(filter, list);
  }
}

function range(data: ColumnData): RangeFilter {
  const [least, most] = extent(data.values);
  return { kind: "range", data, low: least, high: most, least, most };
}
