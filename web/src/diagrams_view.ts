// Linked diagrams: any two columns (the Kiel diagram to begin with), and the sky.

import { report, type App } from "./app";
import { drawSky, hammer } from "./axes";
import { columnSelect } from "./column_select";
import { fill, h } from "./dom";
import { MISSING } from "./hexbin";
import { Plane } from "./plane";
import { withUnit } from "./schema";

export class DiagramsView {
  readonly element: HTMLElement;
  kiel: Plane | null = null;
  sky: Plane | null = null;
  readonly #bar = h("div", { class: "view-bar" });
  readonly #left = h("div", { class: "diagram" });
  readonly #right = h("div", { class: "diagram" });
  #x: string;
  #y: string;
  #drawn = "";

  constructor(readonly app: App) {
    const { columns } = app;
    const numbers = this.#numbers;
    this.#x = (columns.named("teff") ?? numbers[0])?.key ?? "";
    this.#y = (columns.named("logg") ?? numbers[1] ?? numbers[0])?.key ?? "";
    this.element = h("div", { class: "view" }, this.#bar, h("div", { class: "diagrams" }, this.#left, this.#right));
    this.refreshColumns();
  }

  get #numbers() {
    return this.app.columns.list.filter((one) => one.kind === "number");
  }

  refreshColumns(): void {
    const choose = (axis: "x" | "y") =>
      h(
        "label",
        { class: "field inline" },
        axis,
        columnSelect(
          this.#numbers,
          axis === "x" ? this.#x : this.#y,
          (key) => {
            if (axis === "x") this.#x = key;
            else this.#y = key;
            void this.#drawKiel();
          },
          { id: `diagram-${axis}` },
        ),
      );
    fill(
      this.#bar,
      choose("x"),
      choose("y"),
      h("span", { class: "note" }, "Lassos work here too."),
    );
  }

  shown(): void {
    void this.#drawKiel();
    void this.#drawSky();
  }

  async #drawKiel(): Promise<void> {
    const key = `${this.#x} ${this.#y}`;
    if (this.#x === "" || key === this.#drawn) return;
    this.#drawn = key;
    try {
      const [x, y] = await Promise.all([this.app.columns.get(this.#x), this.app.columns.get(this.#y)]);
      const xy = new Float32Array(2 * this.app.n);
      for (let row = 0; row < this.app.n; row++) {
        const missing = x.values[row]! <= MISSING || y.values[row]! <= MISSING;
        xy[2 * row] = missing ? NaN : x.values[row]!;
        xy[2 * row + 1] = missing ? NaN : y.values[row]!;
      }
      // temperatures and gravities grow to the left and downwards, as astronomers draw them
      const flipX = x.column.name === "teff";
      const flipY = /^(logg|.*_mag|mag.*)$/.test(y.column.name);
      const plane = new Plane(this.app, {
        name: "Diagram of two columns",
        locked: false,
        flipX,
        flipY,
        axes: { x: withUnit(x.column), y: withUnit(y.column) },
      });
      this.kiel?.dispose();
      this.kiel = plane;
      fill(this.#left, plane.element);
      plane.setPositions(xy);
    } catch (error) {
      this.#drawn = "";
      report(error);
    }
  }

  async #drawSky(): Promise<void> {
    if (this.sky !== null) return;
    const [ra, dec] = [this.app.columns.named("ra"), this.app.columns.named("dec")];
    if (ra === undefined || dec === undefined || ra.n_missing === this.app.n) {
      fill(this.#right, h("p", { class: "empty" }, "This store knows no coordinates: its columns ra and dec are empty."));
      return;
    }
    const plane = new Plane(this.app, { name: "Sky", locked: true, decorate: drawSky });
    this.sky = plane;
    fill(this.#right, plane.element, h("p", { class: "diagram-title" }, "Sky, ICRS (Hammer projection)"));
    try {
      const [a, d] = await Promise.all([this.app.columns.get(ra.key), this.app.columns.get(dec.key)]);
      const xy = new Float32Array(2 * this.app.n);
      for (let row = 0; row < this.app.n; row++) {
        const there = a.values[row]! > MISSING && d.values[row]! > MISSING;
        xy.set(there ? hammer(a.values[row]!, d.values[row]!) : [NaN, NaN], 2 * row);
      }
      plane.home = { left: -2 * Math.SQRT2, right: 2 * Math.SQRT2, bottom: -Math.SQRT2, top: Math.SQRT2 };
      plane.setPositions(xy);
    } catch (error) {
      report(error);
    }
  }
}
