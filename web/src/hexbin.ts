// Hexagonal cells over a map, and what is in each. Cells are numbered row by row from the bottom
// left, so that an id stays the same for one map and one number of cells across.

import type { Bounds } from "./camera";

export interface Hexagons {
  /** Cell of each row, an index into the arrays below; −1 off the map. */
  cell: Int32Array;
  /** Number of each cell on the full lattice: the id that the page shows. */
  id: Uint32Array;
  centre: Float32Array;
  /** From the centre to a corner. */
  radius: number;
  find(x: number, y: number): number;
}

export interface HexValues {
  count: Uint32Array;
  /** Mean of a number, or the most common category; MISSING where there is none. */
  value: Float32Array;
}

export function hexagons(xy: Float32Array, bounds: Bounds, across: number): Hexagons {
  const width = (bounds.right - bounds.left || 1) / across;
  const rise = (width * Math.sqrt(3)) / 2;
  const columns = across + 2;
  const place = (x: number, y: number): number => {
    const v = (y - bounds.bottom) / rise;
    let j = Math.round(v);
    const u = (x - bounds.left) / width - (j & 1) / 2;
    let i = Math.round(u);
    const dv = v - j;
    if (Math.abs(dv) * 3 > 1) {
      const du = u - i;
      const i2 = i + (u < i ? -1 : 1) / 2;
      const j2 = j + (v < j ? -1 : 1);
      const [eu, ev] = [u - i2, v - j2];
      // rows are √3/2 of a width apart: squared distances in widths
      if (du * du + 0.75 * dv * dv > eu * eu + 0.75 * ev * ev) {
        i = i2 + (j & 1 ? 1 : -1) / 2;
        j = j2;
      }
    }
    return (j + 1) * columns + (i + 1);
  };
  const n = xy.length / 2;
  const cell = new Int32Array(n).fill(-1);
  const seen = new Map<number, number>();
  const ids: number[] = [];
  for (let row = 0; row < n; row++) {
    const x = xy[2 * row]!;
    const y = xy[2 * row + 1]!;
    if (!(x - x === 0 && y - y === 0)) continue;
    const lattice = place(x, y);
    let index = seen.get(lattice);
    if (index === undefined) {
      index = ids.length;
      seen.set(lattice, index);
      ids.push(lattice);
    }
    cell[row] = index;
  }
  const centre = new Float32Array(2 * ids.length);
  ids.forEach((lattice, index) => {
    const j = Math.floor(lattice / columns) - 1;
    const i = (lattice % columns) - 1;
    centre[2 * index] = bounds.left + (i + (j & 1) / 2) * width;
    centre[2 * index + 1] = bounds.bottom + j * rise;
  });
  return {
    cell,
    id: Uint32Array.from(ids),
    centre,
    radius: width / Math.sqrt(3),
    find: (x, y) => seen.get(place(x, y)) ?? -1,
  };
}

export const MISSING = -3e38;

/** Count the rows that are kept, and average (or take the mode of) a column, cell by cell. */
export function hexValues(
  hexes: Hexagons,
  keep: Uint8Array | null,
  values: Float32Array | null,
  categories: number,
): HexValues {
  const cells = hexes.id.length;
  const count = new Uint32Array(cells);
  const value = new Float32Array(cells).fill(MISSING);
  const sum = new Float64Array(cells);
  const known = new Uint32Array(cells);
  const votes = categories > 0 ? new Uint32Array(cells * categories) : null;
  for (let row = 0; row < hexes.cell.length; row++) {
    const c = hexes.cell[row]!;
    if (c < 0 || (keep !== null && keep[row] === 0)) continue;
    count[c]!++;
    const v = values === null ? MISSING : values[row]!;
    if (v <= MISSING) continue;
    known[c]!++;
    if (votes !== null) votes[c * categories + v]!++;
    else sum[c]! += v;
  }
  for (let c = 0; c < cells; c++) {
    if (known[c] === 0) continue;
    if (votes === null) value[c] = sum[c]! / known[c]!;
    else {
      const mine = votes.subarray(c * categories, (c + 1) * categories);
      value[c] = mine.indexOf(Math.max(...mine));
    }
  }
  return { count, value };
}
