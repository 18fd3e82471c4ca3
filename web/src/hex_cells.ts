// The hexagons of the map: their values by the colour in use, and their members.

import type { App } from "./app";
import { boundsOf, type Camera } from "./camera";
import { continuous } from "./colour_map";
import { count } from "./format";
import { hexagons, hexValues, MISSING, type Hexagons, type HexValues } from "./hexbin";
import type { HexLayer, Ink } from "./scene";

/** Ink of the hexagons: counts on a logarithmic scale, else that of the points. */
export function hexInk(app: App, values: HexValues | null): Ink {
  const { data, map } = app.colour.value;
  const ink = app.ink;
  if (app.hex.value.show === "value" && data !== null) return ink;
  let most = 1;
  if (values !== null) for (const n of values.count) if (n > most) most = n;
  const name = map === "PuOr" ? "viridis" : map;
  const table = continuous(name, false, app.dark.value);
  return { ...ink, scale: "log", low: 1, high: Math.max(2, most), table };
}

export class HexCells {
  #cells: Hexagons | null = null;
  #key: { xy: Float32Array; across: number } | null = null;
  values: HexValues | null = null;

  constructor(readonly app: App) {}

  #lay(xy: Float32Array): Hexagons {
    const { across } = this.app.hex.value;
    if (this.#cells === null || this.#key?.xy !== xy || this.#key.across !== across) {
      this.#cells = hexagons(xy, boundsOf(xy), across);
      this.#key = { xy, across };
      this.app.hexagons.set(this.#cells);
    }
    return this.#cells;
  }

  /** What the scene draws; null where hexagons are off. */
  layer(xy: Float32Array): HexLayer | null {
    const { on, show } = this.app.hex.value;
    if (xy.length === 0 || !on) {
      this.#stale = true;
      return null;
    }
    const cells = this.#lay(xy);
    const values = this.#value(cells);
    const { data } = this.app.colour.value;
    const counts = show === "count" || data === null;
    const shown = counts
      ? Float32Array.from(values.count, (n) => (n === 0 ? MISSING : n))
      : values.value;
    const full = keepFull(cells.centre, shown, values.count);
    return { ...full, radius: cells.radius, ink: hexInk(this.app, values) };
  }

  #stale = true;

  #value(cells: Hexagons): HexValues {
    const { data } = this.app.colour.value;
    this.values = hexValues(
      cells,
      this.app.mask.value.keep,
      data?.values ?? null,
      data?.categories.length ?? 0,
    );
    this.#stale = false;
    return this.values;
  }

  #ready(): { cells: Hexagons; values: HexValues } {
    const cells = this.#lay(this.app.positions.value);
    return { cells, values: this.#stale || this.values === null ? this.#value(cells) : this.values };
  }

  find(x: number, y: number): number {
    const { cells, values } = this.#ready();
    const cell = cells.find(x, y);
    return cell >= 0 && values.count[cell]! > 0 ? cell : -1;
  }

  describe(cell: number): { id: number; count: number; value: number } {
    const { cells, values } = this.#ready();
    return { id: cells.id[cell]!, count: values.count[cell]!, value: values.value[cell]! };
  }

  members(cell: number): { rows: Uint32Array; title: string } {
    const { cells } = this.#ready();
    const { keep } = this.app.mask.value;
    const rows: number[] = [];
    for (let row = 0; row < cells.cell.length; row++) {
      if (cells.cell[row] === cell && (keep === null || keep[row] === 1)) rows.push(row);
    }
    const noun = rows.length === 1 ? "object" : "objects";
    return {
      rows: Uint32Array.from(rows),
      title: `Hex ID: ${cells.id[cell]!} (${count(rows.length)} ${noun})`,
    };
  }

  /** Cells that hold some of the rows. */
  holding(rows: Uint32Array): Set<number> {
    const { cells } = this.#ready();
    const found = new Set<number>();
    for (const row of rows) if (cells.cell[row]! >= 0) found.add(cells.cell[row]!);
    return found;
  }

  outline(context: CanvasRenderingContext2D, camera: Camera, cell: number, colour: string): void {
    const { cells } = this.#ready();
    context.beginPath();
    for (let k = 0; k < 6; k++) {
      const angle = ((2 * k + 1) * Math.PI) / 6;
      context.lineTo(
        ...camera.toScreen(
          cells.centre[2 * cell]! + cells.radius * Math.cos(angle),
          cells.centre[2 * cell + 1]! + cells.radius * Math.sin(angle),
        ),
      );
    }
    context.closePath();
    context.strokeStyle = colour;
    context.lineWidth = 2;
    context.stroke();
  }
}

/** Leave out the cells that the filter emptied. */
function keepFull(
  centre: Float32Array,
  value: Float32Array,
  counts: Uint32Array,
): { centre: Float32Array; value: Float32Array } {
  const full: number[] = [];
  counts.forEach((n, cell) => n > 0 && full.push(cell));
  const kept = new Float32Array(2 * full.length);
  full.forEach((cell, i) => kept.set(centre.subarray(2 * cell, 2 * cell + 2), 2 * i));
  return { centre: kept, value: Float32Array.from(full, (cell) => value[cell]!) };
}
