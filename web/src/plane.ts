// A plane of points: the map, the Kiel diagram, the sky. Draws, pans, zooms, picks and lassoes.

import { PAPER, type App } from "./app";
import { drawAxes, MARGIN, type Ink2d } from "./axes";
import { boundsOf, Camera, type Bounds } from "./camera";
import { h } from "./dom";
import { count, number } from "./format";
import { Grid, type Polygon } from "./grid";
import { hexInk, HexCells } from "./hex_cells";
import { MISSING } from "./hexbin";
import { surface } from "./histogram";
import { Pace } from "./pace";
import { Pointer } from "./pointer";
import { Scene, type Look } from "./scene";
import { rgb } from "./colour_map";
import { titleOf } from "./schema";
import type { Mode } from "./selection";

export interface PlaneOptions {
  name: string;
  locked: boolean;
  flipX?: boolean;
  flipY?: boolean;
  axes?: { x: string; y: string };
  decorate?: (context: CanvasRenderingContext2D, camera: Camera, ink: Ink2d) => void;
  hexagons?: boolean;
}

const PICK_RADIUS = 12;

export class Plane {
  readonly element: HTMLElement;
  readonly camera: Camera;
  readonly pace = new Pace();
  axes: PlaneOptions["axes"];
  /** What `fit` shows; null for all points. */
  home: Bounds | null = null;
  readonly #canvas: HTMLCanvasElement;
  readonly #overlay: HTMLCanvasElement;
  readonly #tip: HTMLElement;
  readonly #scene: Scene;
  readonly #hexes: HexCells | null;
  #grid: Grid | null = null;
  #xy: Float32Array = new Float32Array(0);
  #values: Float32Array | null = null;
  #frame = 0;
  #settle = 0;
  #moving = false;
  #fitted = false;
  #path: [number, number][] = [];
  #hover: { px: number; py: number } | null = null;

  constructor(
    readonly app: App,
    readonly options: PlaneOptions,
  ) {
    this.axes = options.axes;
    this.camera = new Camera(options.locked, options.flipX, options.flipY);
    this.#canvas = h("canvas", {
      class: "plane-points",
      tabindex: 0,
      role: "application",
      "aria-label": `${options.name}: arrow keys move, plus and minus zoom, Enter opens the object in the middle`,
    });
    this.#overlay = h("canvas", { class: "plane-overlay", "aria-hidden": "true" });
    this.#tip = h("div", { class: "tip", hidden: true });
    const inner = h("div", { class: options.axes ? "plane-inner axed" : "plane-inner" }, this.#canvas);
    this.element = h("div", { class: "plane" }, inner, this.#overlay, this.#tip);
    this.#scene = new Scene(this.#canvas, app.order, () => this.draw());
    this.#hexes = options.hexagons ? new HexCells(app) : null;
    new ResizeObserver(() => this.#resize()).observe(inner);
    new Pointer(this, this.#canvas);
    this.#watch();
  }

  readonly #unwatch: (() => void)[] = [];

  #watch(): void {
    const { app } = this;
    this.#unwatch.push(
      app.colour.watch(() => this.#recolour(), true),
      app.dark.watch(() => this.#recolour()),
      app.mask.watch(({ keep }) => {
        this.#scene.setShown(keep);
        this.#rehex();
        this.draw();
      }, true),
      app.selection.watch(({ rows }) => {
        this.#scene.setSelected(rows);
        this.draw();
      }, true),
      app.look.watch(() => this.draw()),
      app.object.watch(() => this.#redrawOverlay()),
      app.marks.watch(() => this.#redrawOverlay()),
      app.tool.watch((tool) => (this.element.dataset.tool = tool), true),
      app.hex.watch(() => this.#rehex(true)),
    );
  }

  /** Forget this plane, and free what it holds on the card. */
  dispose(): void {
    for (const stop of this.#unwatch) stop();
    this.#scene.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }

  setPositions(xy: Float32Array, fit = true): void {
    this.#xy = xy;
    this.#grid = null;
    this.#scene.setPositions(xy);
    if (fit) this.fit();
    this.#rehex();
    this.draw();
  }

  get positions(): Float32Array {
    return this.#xy;
  }

  get grid(): Grid {
    this.#grid ??= this.#xy === this.app.positions.value ? this.app.grid : new Grid(this.#xy);
    return this.#grid;
  }

  fit(): void {
    if (this.camera.width <= 1 || this.#xy.length === 0) return;
    this.camera.fit(this.home ?? boundsOf(this.#xy), this.options.hexagons ? 44 : 0);
    this.#fitted = true;
    this.draw();
  }

  #recolour(): void {
    const { data } = this.app.colour.value;
    if (data !== null && data.values !== this.#values) this.#scene.setValues(data.values);
    this.#values = data?.values ?? null;
    this.#scene.ink = this.app.ink;
    this.#rehex();
    this.draw();
  }

  #rehex(redraw = false): void {
    if (this.#hexes === null) return;
    this.#scene.setHexes(this.#hexes.layer(this.#xy));
    if (redraw) this.draw();
  }

  #resize(): void {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    if (width === 0 || height === 0) return;
    const ratio = window.devicePixelRatio || 1;
    this.#canvas.width = Math.round(width * ratio);
    this.#canvas.height = Math.round(height * ratio);
    this.camera.resize(width, height);
    if (!this.#fitted && this.#xy.length > 0) this.fit();
    this.draw();
  }

  get #look(): Look {
    const { size, opacity, ghosts } = this.app.look.value;
    const n = Math.max(1, this.app.mask.value.count);
    // a share of the area that looks full but not smeared, growing slowly with the zoom
    const area = (0.55 * this.camera.width * this.camera.height) / n;
    const grown = Math.pow(Math.max(1, this.camera.zoomed), 0.45);
    const natural = Math.min(7, Math.max(1.3, Math.sqrt(area) * 0.62)) * Math.min(grown, 5);
    return {
      size: size ?? Math.min(natural, 9),
      alpha: opacity ?? (n > 200_000 ? 0.75 : n > 20_000 ? 0.85 : 0.95),
      ground: rgb(this.app.dark.value ? PAPER.dark : PAPER.light),
      ghost: ghosts ? 0.18 : 0,
    };
  }

  /** Ask for a picture at the next frame. */
  draw(): void {
    if (this.#frame !== 0) return;
    this.#frame = requestAnimationFrame((time) => {
      this.#frame = 0;
      this.#render(time);
    });
  }

  /** The view moves: fewer points until it rests, which counts from the last picture drawn. */
  moved(): void {
    this.#moving = true;
    window.clearTimeout(this.#settle);
    this.draw();
  }

  /** A finger or button is down: the view rests only when it has not moved for longer. */
  held = false;

  #settleSoon(): void {
    window.clearTimeout(this.#settle);
    this.#settle = window.setTimeout(
      () => {
        this.#moving = false;
        this.draw();
      },
      this.held ? 600 : 160,
    );
  }

  /** The finger is up. */
  release(): void {
    this.held = false;
    if (this.#moving) this.#settleSoon();
  }

  #render(time: number): void {
    // a frame comes before the first measure of size: sizes in pixels would mean nothing
    if (!this.#fitted || this.#canvas.clientWidth === 0) return;
    const share = this.#moving ? this.pace.share(this.app.n) : 1;
    const look = this.#look;
    if (share < 1) look.alpha = Math.min(1, look.alpha / Math.pow(share, 0.3));
    this.#scene.draw(this.camera, look, share);
    this.#drawOverlay();
    if (this.#moving) {
      requestAnimationFrame((next) => this.pace.took(next - time, this.app.n));
      this.#settleSoon();
    }
    if (this.options.hexagons) this.#tell();
  }

  /** Mark the first picture, and the first in colour, once the card has really drawn them. */
  #tell(): void {
    const coloured = this.#scene.ink !== null && this.#scene.ink.scale !== "plain";
    if (this.#told === "coloured" || (this.#told === "plain" && !coloured)) return;
    this.#scene.finish();
    performance.mark("siderea:picture");
    if (coloured) performance.mark("siderea:coloured");
    this.#told = coloured ? "coloured" : "plain";
  }

  #told: "" | "plain" | "coloured" = "";

  /** Draw at once and wait for the card: for measuring. Milliseconds. */
  timedDraw(share = 1): number {
    const start = performance.now();
    this.#scene.draw(this.camera, this.#look, share);
    this.#scene.finish();
    return performance.now() - start;
  }

  // ------------------------------------------------------------------------------ overlay

  #overlayFrame = 0;

  /** Rings and outlines change; the points under them stay as they are. */
  #redrawOverlay(): void {
    if (this.#overlayFrame !== 0 || this.#frame !== 0) return;
    this.#overlayFrame = requestAnimationFrame(() => {
      this.#overlayFrame = 0;
      if (this.#canvas.clientWidth > 0 && this.#xy.length > 0) this.#drawOverlay();
    });
  }

  get colours(): Ink2d {
    const style = getComputedStyle(document.documentElement);
    const of = (name: string): string => style.getPropertyValue(name).trim();
    return {
      text: of("--ink"),
      muted: of("--muted"),
      line: of("--line-strong"),
      paper: of("--paper"),
      accent: of("--accent"),
    };
  }

  #drawOverlay(): void {
    const place = surface(this.#overlay);
    if (place === null) return;
    const { context } = place;
    const ink = this.colours;
    if (this.axes) drawAxes(context, this.camera, this.axes, ink);
    context.save();
    if (this.axes) {
      context.translate(MARGIN.left, MARGIN.top);
      context.beginPath();
      context.rect(0, 0, this.camera.width, this.camera.height);
      context.clip();
    }
    this.options.decorate?.(context, this.camera, ink);
    this.#drawMarks(context, ink);
    this.#drawPath(context, ink);
    context.restore();
  }

  #drawMarks(context: CanvasRenderingContext2D, ink: Ink2d): void {
    const ring = (row: number, radius: number, width: number): void => {
      const [x, y] = this.camera.toScreen(this.#xy[2 * row]!, this.#xy[2 * row + 1]!);
      if (!Number.isFinite(x + y)) return;
      for (const [colour, wide] of [
        [ink.paper, width + 2],
        [ink.accent, width],
      ] as const) {
        context.beginPath();
        context.arc(x, y, radius, 0, 2 * Math.PI);
        context.strokeStyle = colour;
        context.lineWidth = wide;
        context.stroke();
      }
    };
    if (this.#hexes !== null && this.app.hex.value.on) {
      for (const one of this.#hexes.holding(this.app.selection.value.rows)) {
        this.#hexes.outline(context, this.camera, one, ink.text);
      }
    }
    for (const row of this.app.marks.value) ring(row, 4, 1.2);
    if (this.app.object.value !== null) ring(this.app.object.value, 8, 2.2);
    const cell = this.#hover === null ? -1 : this.#cellAt(this.#hover.px, this.#hover.py);
    if (cell >= 0) this.#hexes!.outline(context, this.camera, cell, ink.accent);
  }

  #drawPath(context: CanvasRenderingContext2D, ink: Ink2d): void {
    if (this.#path.length < 2) return;
    context.beginPath();
    for (const [x, y] of this.#path) context.lineTo(x, y);
    context.closePath();
    context.fillStyle = ink.accent;
    context.globalAlpha = 0.12;
    context.fill();
    context.globalAlpha = 1;
    context.strokeStyle = ink.accent;
    context.lineWidth = 1.5;
    context.stroke();
  }

  // ------------------------------------------------------------------------------ pointing

  setPath(path: [number, number][]): void {
    this.#path = path;
    this.#redrawOverlay();
  }

  finishPath(mode: Mode, title: string): void {
    const path = this.#path;
    this.#path = [];
    this.#redrawOverlay();
    if (path.length > 2) {
      const polygon: Polygon = path.map(([x, y]) => this.camera.toData(x, y));
      this.app.select(this.grid.inside(polygon, this.app.mask.value.keep), title, mode);
    }
  }

  rowAt(px: number, py: number): number {
    const [x, y] = this.camera.toData(px, py);
    const [rx, ry] = [PICK_RADIUS / Math.abs(this.camera.kx), PICK_RADIUS / Math.abs(this.camera.ky)];
    return this.grid.nearest(x, y, rx, ry, this.app.mask.value.keep);
  }

  #cellAt(px: number, py: number): number {
    if (this.#hexes === null || (!this.app.hex.value.on && this.app.tool.value !== "hexagon")) return -1;
    return this.#hexes.find(...this.camera.toData(px, py));
  }

  /** Click: the hexagon under the pointer where they are shown, else the nearest object. */
  click(px: number, py: number, mode: Mode): void {
    const cell = this.#cellAt(px, py);
    if (cell >= 0) {
      const { rows, title } = this.#hexes!.members(cell);
      this.app.select(rows, title, mode);
      return;
    }
    const row = this.rowAt(px, py);
    if (row >= 0) this.app.open(row);
  }

  hover(px: number, py: number): void {
    this.#hover = { px, py };
    const cell = this.#cellAt(px, py);
    const text = cell >= 0 ? this.#hexText(cell) : this.#rowText(this.rowAt(px, py));
    this.#tip.hidden = text === "";
    this.#tip.textContent = text;
    const dx = this.axes ? MARGIN.left : 0;
    const room = this.camera.width - px > 200;
    this.#tip.style.transform = `translate(${dx + px + (room ? 14 : -14)}px, ${py + 12}px) translateX(${room ? 0 : -100}%)`;
    if (this.#hexes !== null && (cell >= 0 || this.app.hex.value.on)) this.#redrawOverlay();
  }

  leave(): void {
    const outlined = this.#hover !== null && this.app.hex.value.on;
    this.#hover = null;
    this.#tip.hidden = true;
    if (outlined) this.#redrawOverlay();
  }

  #rowText(row: number): string {
    if (row < 0) return "";
    const { data } = this.app.colour.value;
    const lines = [`tsne_id ${row}`];
    if (data !== null) {
      const value = data.values[row]!;
      const said =
        value <= MISSING ? "–" : data.categories.length ? data.categories[value]! : number(value);
      lines.push(`${titleOf(data.column)} ${said}${data.column.unit ? ` ${data.column.unit}` : ""}`);
    }
    return lines.join("\n");
  }

  #hexText(cell: number): string {
    const { id, count: n, value } = this.#hexes!.describe(cell);
    const lines = [`Hex ID: ${id} (${count(n)} ${n === 1 ? "object" : "objects"})`];
    const { data } = this.app.colour.value;
    if (data !== null && value > MISSING) {
      lines.push(
        data.categories.length
          ? `mostly ${data.categories[value]!}`
          : `mean ${titleOf(data.column)} ${number(value)}${data.column.unit ? ` ${data.column.unit}` : ""}`,
      );
    }
    return lines.join("\n");
  }

  /** Where a row stands on the page, CSS pixels. */
  where(row: number): [number, number] {
    const box = this.#canvas.getBoundingClientRect();
    const [x, y] = this.camera.toScreen(this.#xy[2 * row]!, this.#xy[2 * row + 1]!);
    return [box.left + x, box.top + y];
  }

  /** Bring a row into view where it is outside. */
  reveal(row: number): void {
    const [x, y] = [this.#xy[2 * row]!, this.#xy[2 * row + 1]!];
    if (!Number.isFinite(x + y)) return;
    const [px, py] = this.camera.toScreen(x, y);
    if (px < 20 || py < 20 || px > this.camera.width - 20 || py > this.camera.height - 20) {
      this.camera.x = x;
      this.camera.y = y;
      this.draw();
    }
  }

  get hexValueInk(): ReturnType<typeof hexInk> {
    return hexInk(this.app, this.#hexes?.values ?? null);
  }
}

