// What the page knows and shows: signals that every panel watches. No drawing, no elements here.

import { api, ApiError } from "./api";
import { categoryColours, categoryTable, continuous, rgb, type MapName } from "./colour_map";
import { Columns, defaultRange, type ColumnData } from "./columns";
import { mask, type Filter, type Mask } from "./filter";
import { count, plural } from "./format";
import { Grid } from "./grid";
import type { Hexagons } from "./hexbin";
import { notify } from "./notice";
import type { Ink } from "./scene";
import { titleOf, withUnit, type Schema } from "./schema";
import { combine, NOTHING, rowsOf, type Mode, type Selection } from "./selection";
import { shuffle, type Shuffle } from "./shuffle";
import { Signal } from "./signal";

export type Tool = "pan" | "lasso" | "rectangle" | "hexagon";

export interface Colouring {
  data: ColumnData | null;
  map: MapName;
  reversed: boolean;
  log: boolean;
  low: number;
  high: number;
  /** The one category to look at; the others turn grey. */
  highlight: number | null;
}

export interface HexChoice {
  on: boolean;
  across: number;
  show: "count" | "value";
}

export interface PointLook {
  /** Diameter, CSS pixels; null: by the number of points. */
  size: number | null;
  opacity: number | null;
  ghosts: boolean;
}

export const PAPER = { light: "#ffffff", dark: "#0a0d12" } as const;
export const GREY = { light: "#b9c0ca", dark: "#4a5361" } as const;

export class App {
  readonly order: Shuffle;
  readonly map: Signal<string>;
  readonly positions: Signal<Float32Array>;
  readonly dark = new Signal(false);
  readonly colour = new Signal<Colouring>({
    data: null,
    map: "viridis",
    reversed: false,
    log: false,
    low: 0,
    high: 1,
    highlight: null,
  });
  readonly hidden = new Signal<ReadonlySet<number>>(new Set());
  readonly filters = new Signal<readonly Filter[]>([]);
  readonly expression = new Signal<{ text: string; mask: Uint8Array | null }>({ text: "", mask: null });
  readonly mask: Signal<Mask>;
  readonly selection = new Signal<Selection>(NOTHING);
  readonly previous = new Signal<Selection>(NOTHING);
  readonly object = new Signal<number | null>(null);
  readonly marks = new Signal<readonly number[]>([]);
  readonly tool = new Signal<Tool>("pan");
  readonly hex = new Signal<HexChoice>({ on: false, across: 40, show: "count" });
  readonly hexagons = new Signal<Hexagons | null>(null);
  /** Counts the times that the list of columns was read again. */
  readonly renewed = new Signal(0);
  readonly look = new Signal<PointLook>({ size: null, opacity: null, ghosts: true });
  #grid: Grid | null = null;
  #colourJob = 0;

  constructor(
    public schema: Schema,
    map: string,
    positions: Float32Array,
    readonly columns = new Columns(schema),
  ) {
    this.order = shuffle(schema.n_rows);
    this.map = new Signal(map);
    this.positions = new Signal(positions);
    this.mask = new Signal<Mask>({ keep: null, count: schema.n_rows });
    for (const signal of [this.filters, this.expression, this.hidden]) {
      (signal as Signal<unknown>).watch(() => this.#remask());
    }
    this.colour.watch((now) => {
      if (now.data !== this.#lastData) this.hidden.set(new Set());
      this.#lastData = now.data;
    });
  }

  #lastData: ColumnData | null = null;

  get n(): number {
    return this.schema.n_rows;
  }

  get grid(): Grid {
    if (this.#grid?.xy !== this.positions.value) this.#grid = new Grid(this.positions.value);
    return this.#grid;
  }

  #remask(): void {
    const { data } = this.colour.value;
    const legend: Filter[] =
      data !== null && this.hidden.value.size > 0
        ? [{ kind: "category", data, hidden: new Set(this.hidden.value) }]
        : [];
    this.mask.set(mask(this.n, [...this.filters.value, ...legend], this.expression.value.mask));
  }

  // ------------------------------------------------------------------------------ colour

  async colourBy(key: string | null): Promise<void> {
    const job = ++this.#colourJob;
    if (key === null) {
      this.colour.set({ ...this.colour.value, data: null, highlight: null });
      return;
    }
    try {
      const data = await this.columns.get(key);
      if (job !== this.#colourJob) return; // another column was asked for meanwhile
      const [low, high] = defaultRange(data);
      this.colour.set({ ...this.colour.value, data, low, high, log: false, highlight: null });
    } catch (error) {
      report(error);
    }
  }

  recolour(change: Partial<Colouring>): void {
    this.colour.set({ ...this.colour.value, ...change });
  }

  categoryColours(data: ColumnData): string[] {
    return categoryColours(data.categories, this.schema.classes, this.dark.value, data.column.colours);
  }

  get ink(): Ink {
    const theme = this.dark.value ? "dark" : "light";
    const { data, low, high, map, reversed, log, highlight } = this.colour.value;
    const base = {
      missing: rgb(GREY[theme]),
      plain: rgb(this.dark.value ? "#6fb3ff" : "#2f6fb5"),
      low: log ? Math.max(low, 1e-6 * Math.abs(high) || 1e-6) : low,
      high,
    };
    if (data === null) return { ...base, scale: "plain", table: new Uint8Array(4) };
    if (data.categories.length > 0) {
      const colours = this.categoryColours(data);
      const seen = colours.map((one, i) =>
        highlight === null || highlight === i ? one : this.dark.value ? "#2a313b" : "#dfe3e8",
      );
      return { ...base, scale: "category", table: categoryTable(seen) };
    }
    const table = continuous(map, reversed, this.dark.value);
    return { ...base, scale: log ? "log" : "linear", table };
  }

  get colourTitle(): string {
    const { data } = this.colour.value;
    return data === null ? "one colour" : withUnit(data.column);
  }

  /** Read the schema again; what the points are coloured by is read anew where it changed. */
  async renew(): Promise<void> {
    const schema = await api.schema();
    if (schema.version === this.schema.version) return;
    this.schema = schema;
    const changed = this.columns.renew(schema);
    const { data, low, high } = this.colour.value;
    if (data !== null && changed.has(data.column.key)) {
      const fresh = await this.columns.get(data.column.key);
      this.colour.set({ ...this.colour.value, data: fresh, low, high });
    }
    this.renewed.set(this.renewed.value + 1);
  }

  // ------------------------------------------------------------------------------ map

  async showMap(name: string): Promise<void> {
    if (name === this.map.value) return;
    const info = this.schema.maps.find((one) => one.name === name);
    if (info === undefined) return;
    try {
      const positions = await api.positions(info);
      this.map.set(name);
      this.positions.set(positions);
    } catch (error) {
      report(error);
    }
  }

  // ------------------------------------------------------------------------------ selection

  select(rows: Uint32Array, title: string, mode: Mode = "replace"): void {
    const old = this.selection.value;
    const joined = combine(old.rows, rows, mode, this.n);
    const name = mode === "replace" || old.rows.length === 0 ? title : `${old.title}, changed`;
    if (mode === "replace" && old.rows.length > 0) this.previous.set(old);
    this.selection.set(joined.length === 0 ? NOTHING : { rows: joined, title: name });
    notify(joined.length === 0 ? "Nothing selected" : `${plural(joined.length, "object")} selected`);
  }

  clearSelection(): void {
    if (this.selection.value.rows.length > 0) this.previous.set(this.selection.value);
    this.selection.set(NOTHING);
    this.marks.set([]);
  }

  /** All rows of one category that pass the filter. */
  rowsOfCategory(data: ColumnData, category: number): Uint32Array {
    const marked = new Uint8Array(this.n);
    const { keep } = this.mask.value;
    for (let row = 0; row < this.n; row++) {
      if (data.values[row] === category && (keep === null || keep[row] === 1)) marked[row] = 1;
    }
    return rowsOf(marked);
  }

  /** Select all rows that have the value of one of them: its island, its class, its field. */
  async selectSame(key: string, row: number): Promise<void> {
    try {
      const data = await this.columns.get(key);
      const value = data.values[row]!;
      const { keep } = this.mask.value;
      const marked = new Uint8Array(this.n);
      for (let other = 0; other < this.n; other++) {
        if (data.values[other] === value && (keep === null || keep[other] === 1)) marked[other] = 1;
      }
      const said = data.categories.length > 0 ? data.categories[value] : value;
      this.select(rowsOf(marked), `${titleOf(data.column)} ${said}`);
    } catch (error) {
      report(error);
    }
  }

  /** Rows that pass the filter. */
  get shown(): Uint32Array {
    const { keep } = this.mask.value;
    if (keep !== null) return rowsOf(keep);
    return Uint32Array.from({ length: this.n }, (_, row) => row);
  }

  /** What an action works on: the selection, or else the one object. */
  get target(): Uint32Array {
    if (this.selection.value.rows.length > 0) return this.selection.value.rows;
    return this.object.value === null ? new Uint32Array(0) : Uint32Array.of(this.object.value);
  }

  open(row: number): void {
    if (row < 0 || row >= this.n) return;
    this.object.set(row);
  }

  /** Step through the selection, or the shown rows, from the object that is open. */
  step(by: number): void {
    const rows = this.selection.value.rows.length > 0 ? this.selection.value.rows : this.shown;
    if (rows.length === 0) return;
    const here = this.object.value === null ? -1 : rows.indexOf(this.object.value);
    const next = here < 0 ? (by > 0 ? 0 : rows.length - 1) : (here + by + rows.length) % rows.length;
    this.open(rows[next]!);
  }

  get summary(): string {
    const { count: shown } = this.mask.value;
    return shown === this.n ? `${count(this.n)} objects` : `${count(shown)} of ${count(this.n)} shown`;
  }
}

/** Tell the user what went wrong, in the server's own words where it has some. */
export function report(error: unknown): void {
  if ((error as Error).name === "AbortError") return;
  if (error instanceof ApiError && error.status === 0) return; // the banner says it
  notify(error instanceof Error ? error.message : String(error), "error");
}
