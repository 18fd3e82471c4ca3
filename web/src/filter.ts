// Which rows are shown: ranges of columns, hidden or chosen categories, and an expression.

import type { ColumnData } from "./columns";
import { MISSING } from "./hexbin";

export interface RangeFilter {
  kind: "range";
  data: ColumnData;
  low: number;
  high: number;
  /** The ends of the slider: a range that reaches both lets everything pass. */
  least: number;
  most: number;
}

export interface CategoryFilter {
  kind: "category";
  data: ColumnData;
  hidden: Set<number>;
}

export type Filter = RangeFilter | CategoryFilter;

export interface Mask {
  keep: Uint8Array | null;
  count: number;
}

export const whole = (filter: RangeFilter): boolean =>
  filter.low <= filter.least && filter.high >= filter.most;

function apply(filter: Filter, keep: Uint8Array): void {
  const { values } = filter.data;
  if (filter.kind === "category") {
    const pass = new Uint8Array(filter.data.categories.length).fill(1);
    for (const hidden of filter.hidden) pass[hidden] = 0;
    for (let row = 0; row < keep.length; row++) {
      const value = values[row]!;
      if (value > MISSING && pass[value] === 0) keep[row] = 0;
    }
    return;
  }
  const low = filter.low <= filter.least ? -Infinity : filter.low;
  const high = filter.high >= filter.most ? Infinity : filter.high;
  for (let row = 0; row < keep.length; row++) {
    const value = values[row]!;
    if (value <= MISSING || value < low || value > high) keep[row] = 0;
  }
}

/** All filters together; `keep` is null where nothing is left out. */
export function mask(n: number, filters: readonly Filter[], expression: Uint8Array | null): Mask {
  const active = filters.filter((one) => (one.kind === "range" ? !whole(one) : one.hidden.size > 0));
  if (active.length === 0 && expression === null) return { keep: null, count: n };
  const keep = expression === null ? new Uint8Array(n).fill(1) : expression.slice();
  for (const filter of active) apply(filter, keep);
  let count = 0;
  for (const one of keep) count += one;
  return { keep, count };
}
