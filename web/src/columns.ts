// Columns fetched when first asked for, and kept.

import { api } from "./api";
import { MISSING } from "./hexbin";
import type { Column, FlagInfo, Schema } from "./schema";

export interface ColumnData {
  column: Column;
  /** As the server sends them: float32, int16 (−1 missing) or uint32. */
  raw: Float32Array | Int16Array | Uint32Array;
  /** One float per row for the graphics card; MISSING where there is none. */
  values: Float32Array;
  /** Names of the categories; empty for numbers. */
  categories: string[];
}

export class Columns {
  readonly #held = new Map<string, Promise<ColumnData>>();
  readonly #ready = new Map<string, ColumnData>();

  constructor(public schema: Schema) {}

  get list(): Column[] {
    return this.schema.columns;
  }

  info(key: string): Column | undefined {
    return this.#ready.get(key)?.column ?? this.list.find((one) => one.key === key);
  }

  /** The first column of this name, catalogue first. */
  named(name: string): Column | undefined {
    return (
      this.list.find((one) => one.name === name && one.table === "catalogue") ??
      this.list.find((one) => one.name === name)
    );
  }

  peek(key: string): ColumnData | undefined {
    return this.#ready.get(key);
  }

  get(key: string): Promise<ColumnData> {
    let held = this.#held.get(key);
    if (held === undefined) {
      held = this.#fetch(key);
      held.catch(() => this.#held.delete(key));
      this.#held.set(key, held);
    }
    return held;
  }

  /** Take a newer schema: columns of another version are forgotten. Their keys are returned. */
  renew(schema: Schema): Set<string> {
    const before = new Map(this.list.map((one) => [one.key, one.version]));
    this.schema = schema;
    const changed = new Set<string>();
    for (const { key, version } of schema.columns) {
      if (before.has(key) && before.get(key) === version) continue;
      changed.add(key);
      this.#held.delete(key);
      this.#ready.delete(key);
    }
    return changed;
  }

  async #fetch(key: string): Promise<ColumnData> {
    const column = this.list.find((one) => one.key === key);
    if (column === undefined) throw new Error(`no column ${key}`);
    const data = dataOf(column, typed(column, await api.column(column)), this.schema.flags);
    this.#ready.set(key, data);
    return data;
  }
}

function typed(column: Column, bytes: ArrayBuffer): ColumnData["raw"] {
  if (column.kind === "category") return new Int16Array(bytes);
  if (column.kind === "flags") return new Uint32Array(bytes);
  return new Float32Array(bytes);
}

function dataOf(column: Column, raw: ColumnData["raw"], flags: FlagInfo[]): ColumnData {
  if (column.kind === "flags") return flagData(column, raw as Uint32Array, column.flags ?? flags);
  const values = new Float32Array(raw.length);
  const category = column.kind === "category";
  for (let row = 0; row < raw.length; row++) {
    const value = raw[row]!;
    values[row] = (category ? value < 0 : value - value !== 0) ? MISSING : value;
  }
  return { column, raw, values, categories: category ? (column.categories ?? []) : [] };
}

/** Flags as categories: none, each alone, and several at once. */
function flagData(column: Column, raw: Uint32Array, flags: FlagInfo[]): ColumnData {
  const categories = ["none", ...flags.map((flag) => flag.name), "several"];
  const index = new Map(flags.map((flag, i) => [flag.bit, i + 1]));
  const values = new Float32Array(raw.length);
  for (let row = 0; row < raw.length; row++) {
    const bits = raw[row]!;
    values[row] = bits === 0 ? 0 : (index.get(bits) ?? categories.length - 1);
  }
  return { column, raw, values, categories };
}

/** Low and high of the colour bar: 2 and 98 %, or the data's own where those are equal. */
export function defaultRange(data: ColumnData): [number, number] {
  const { low, high, min, max } = data.column;
  if (low !== null && low !== undefined && high !== null && high !== undefined && high > low) {
    return [low, high];
  }
  const [least, most] = extent(data.values);
  return [min ?? least, (max ?? most) > (min ?? least) ? (max ?? most) : (min ?? least) + 1];
}

export function extent(values: Float32Array): [number, number] {
  let least = Infinity;
  let most = -Infinity;
  for (const value of values) {
    if (value <= MISSING) continue;
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return least <= most ? [least, most] : [0, 1];
}
