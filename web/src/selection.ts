// Sets of rows, and how a new one joins the old.

export type Mode = "replace" | "add" | "subtract";

export interface Selection {
  rows: Uint32Array;
  title: string;
}

export const NOTHING: Selection = { rows: new Uint32Array(0), title: "" };

export function combine(old: Uint32Array, rows: Uint32Array, mode: Mode, n: number): Uint32Array {
  if (mode === "replace") return rows;
  const marked = new Uint8Array(n);
  for (const row of old) marked[row] = 1;
  for (const row of rows) marked[row] = mode === "add" ? 1 : 0;
  return rowsOf(marked);
}

export function rowsOf(marked: Uint8Array): Uint32Array {
  let count = 0;
  for (const mark of marked) count += mark;
  const rows = new Uint32Array(count);
  let at = 0;
  for (let row = 0; row < marked.length; row++) if (marked[row] === 1) rows[at++] = row;
  return rows;
}
