// Rows of a plane by place: square cells in counting order. Finds the nearest row and those inside
// a polygon without looking at every one.

import { boundsOf, type Bounds } from "./camera";

export type Polygon = readonly (readonly [x: number, y: number])[];

const PER_CELL = 6;

export class Grid {
  readonly bounds: Bounds;
  readonly #columns: number;
  readonly #rows: number;
  readonly #dx: number;
  readonly #dy: number;
  readonly #first: Uint32Array;
  readonly #members: Uint32Array;

  constructor(readonly xy: Float32Array) {
    const n = xy.length / 2;
    this.bounds = boundsOf(xy);
    const side = Math.max(1, Math.min(1024, Math.round(Math.sqrt(n / PER_CELL))));
    this.#columns = this.#rows = side;
    this.#dx = (this.bounds.right - this.bounds.left) / side || 1;
    this.#dy = (this.bounds.top - this.bounds.bottom) / side || 1;
    const cells = new Int32Array(n);
    this.#first = new Uint32Array(side * side + 1);
    let placed = 0;
    for (let row = 0; row < n; row++) {
      const cell = this.#cell(xy[2 * row]!, xy[2 * row + 1]!);
      cells[row] = cell;
      if (cell < 0) continue;
      this.#first[cell + 1]!++;
      placed++;
    }
    for (let c = 0; c < side * side; c++) this.#first[c + 1]! += this.#first[c]!;
    const next = this.#first.slice();
    this.#members = new Uint32Array(placed);
    for (let row = 0; row < n; row++) {
      const cell = cells[row]!;
      if (cell >= 0) this.#members[next[cell]!++] = row;
    }
  }

  #column(x: number): number {
    const i = Math.floor((x - this.bounds.left) / this.#dx);
    return Math.min(this.#columns - 1, Math.max(0, i));
  }

  #row(y: number): number {
    const j = Math.floor((y - this.bounds.bottom) / this.#dy);
    return Math.min(this.#rows - 1, Math.max(0, j));
  }

  #cell(x: number, y: number): number {
    return x - x === 0 && y - y === 0 ? this.#row(y) * this.#columns + this.#column(x) : -1;
  }

  /** The row nearest to a place, within an ellipse of radii `rx`, `ry`; −1 where there is none. */
  nearest(x: number, y: number, rx: number, ry: number, keep: Uint8Array | null): number {
    let best = -1;
    let least = 1;
    for (let j = this.#row(y - ry); j <= this.#row(y + ry); j++) {
      for (let i = this.#column(x - rx); i <= this.#column(x + rx); i++) {
        const cell = j * this.#columns + i;
        for (let m = this.#first[cell]!; m < this.#first[cell + 1]!; m++) {
          const row = this.#members[m]!;
          if (keep !== null && keep[row] === 0) continue;
          const dx = (this.xy[2 * row]! - x) / rx;
          const dy = (this.xy[2 * row + 1]! - y) / ry;
          const distance = dx * dx + dy * dy;
          if (distance < least) {
            least = distance;
            best = row;
          }
        }
      }
    }
    return best;
  }

  /** Rows inside a polygon (crossings counted: even is outside), ascending. */
  inside(polygon: Polygon, keep: Uint8Array | null): Uint32Array {
    const edges = polygon.map((a, k) => ({ a, b: polygon[(k + 1) % polygon.length]! }));
    const ys = polygon.map(([, y]) => y);
    const xs = polygon.map(([x]) => x);
    const found: number[] = [];
    const [i0, i1] = [this.#column(Math.min(...xs)), this.#column(Math.max(...xs))];
    for (let j = this.#row(Math.min(...ys)); j <= this.#row(Math.max(...ys)); j++) {
      const low = this.bounds.bottom + j * this.#dy;
      const high = low + this.#dy;
      // outermost cells also hold what rounding put past the border, so they are never skipped
      const border = j === 0 || j === this.#rows - 1;
      const near = edges.filter(
        ({ a, b }) => border || (Math.max(a[1], b[1]) >= low && Math.min(a[1], b[1]) <= high),
      );
      for (let i = i0; i <= i1; i++) this.#collect(j * this.#columns + i, i, low, near, keep, found);
    }
    return Uint32Array.from(found).sort();
  }

  #collect(
    cell: number,
    i: number,
    low: number,
    edges: { a: readonly [number, number]; b: readonly [number, number] }[],
    keep: Uint8Array | null,
    found: number[],
  ): void {
    const [first, last] = [this.#first[cell]!, this.#first[cell + 1]!];
    if (first === last) return;
    const left = this.bounds.left + i * this.#dx;
    const right = left + this.#dx;
    const touched =
      i === 0 ||
      i === this.#columns - 1 ||
      edges.some(({ a, b }) => Math.max(a[0], b[0]) >= left && Math.min(a[0], b[0]) <= right);
    const whole = !touched && odd(left + this.#dx / 2, low + this.#dy / 2, edges);
    if (!touched && !whole) return;
    for (let m = first; m < last; m++) {
      const row = this.#members[m]!;
      if (keep !== null && keep[row] === 0) continue;
      if (whole || odd(this.xy[2 * row]!, this.xy[2 * row + 1]!, edges)) found.push(row);
    }
  }
}

function odd(
  x: number,
  y: number,
  edges: { a: readonly [number, number]; b: readonly [number, number] }[],
): boolean {
  let inside = false;
  for (const { a, b } of edges) {
    if (a[1] > y !== b[1] > y && x < ((b[0] - a[0]) * (y - a[1])) / (b[1] - a[1]) + a[0]) {
      inside = !inside;
    }
  }
  return inside;
}
