// Points and hexagons on the graphics card. Everything uploaded is also kept here, so that a lost
// context is rebuilt without asking the server again.

import type { Camera } from "./camera";
import { Program } from "./program";
import { HEX_FRAGMENT, HEX_VERTEX, POINT_FRAGMENT, POINT_VERTEX } from "./shaders";
import type { Shuffle } from "./shuffle";

export type Rgb = readonly [number, number, number];

/** How a value becomes a colour. */
export interface Ink {
  scale: "plain" | "linear" | "log" | "category";
  low: number;
  high: number;
  /** RGBA, one entry after another. */
  table: Uint8Array;
  missing: Rgb;
  plain: Rgb;
}

export interface Look {
  size: number;
  alpha: number;
  ground: Rgb;
  ghost: number;
}

export interface HexLayer {
  centre: Float32Array;
  value: Float32Array;
  radius: number;
  ink: Ink;
}

const SCALES = { plain: 0, linear: 1, log: 2, category: 3 } as const;
const OFF_MAP = 1e30;
/** So few selected points are drawn large enough to be seen. */
const FEW = 3000;

interface Card {
  points: Program;
  hexes: Program;
  pointArray: WebGLVertexArrayObject;
  hexArray: WebGLVertexArrayObject;
  positions: WebGLBuffer;
  values: WebGLBuffer;
  corners: WebGLBuffer;
  hexCentres: WebGLBuffer;
  hexValues: WebGLBuffer;
  shown: WebGLBuffer;
  selected: WebGLBuffer;
  table: WebGLTexture;
}

export class Scene {
  readonly gl: WebGL2RenderingContext;
  hexes: HexLayer | null = null;
  ink: Ink | null = null;
  #card!: Card;
  #n: number;
  #positions: Float32Array;
  #values: Float32Array;
  #shown: Uint32Array | null = null;
  #selected: Uint32Array | null = null;
  #table: Uint8Array | null = null;

  constructor(
    readonly canvas: HTMLCanvasElement,
    readonly order: Shuffle,
    redraw: () => void,
  ) {
    const gl = canvas.getContext("webgl2", {
      antialias: false,
      alpha: false,
      powerPreference: "high-performance",
      preserveDrawingBuffer: false,
    });
    if (gl === null) throw new Error("WebGL2 is missing");
    this.gl = gl;
    this.#n = order.rows.length;
    this.#positions = new Float32Array(2 * this.#n).fill(OFF_MAP);
    this.#values = new Float32Array(this.#n);
    this.#build();
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => {
      this.#build();
      redraw();
    });
  }

  #build(): void {
    const { gl } = this;
    const buffer = (): WebGLBuffer => gl.createBuffer()!;
    this.#card = {
      points: new Program(gl, POINT_VERTEX, POINT_FRAGMENT),
      hexes: new Program(gl, HEX_VERTEX, HEX_FRAGMENT),
      pointArray: gl.createVertexArray()!,
      hexArray: gl.createVertexArray()!,
      positions: buffer(),
      values: buffer(),
      corners: buffer(),
      hexCentres: buffer(),
      hexValues: buffer(),
      shown: buffer(),
      selected: buffer(),
      table: gl.createTexture()!,
    };
    this.#table = null;
    const card = this.#card;
    gl.bindVertexArray(card.pointArray);
    this.#attribute(card.positions, 0, 2, 0);
    this.#attribute(card.values, 1, 1, 0);
    gl.bindVertexArray(card.hexArray);
    this.#attribute(card.corners, 0, 2, 0);
    this.#attribute(card.hexCentres, 1, 2, 1);
    this.#attribute(card.hexValues, 2, 1, 1);
    gl.bindVertexArray(null);
    this.#write(card.positions, this.#positions);
    this.#write(card.values, this.#values);
    this.#write(card.corners, hexCorners());
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    this.#writeHexes();
    this.#index(card.shown, this.#shown);
    this.#index(card.selected, this.#selected);
  }

  #attribute(buffer: WebGLBuffer, at: number, size: number, divisor: number): void {
    const { gl } = this;
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, size, gl.FLOAT, false, 0, 0);
    gl.vertexAttribDivisor(at, divisor);
  }

  #write(buffer: WebGLBuffer, data: Float32Array): void {
    const { gl } = this;
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.DYNAMIC_DRAW);
  }

  #index(buffer: WebGLBuffer, slots: Uint32Array | null): void {
    const { gl } = this;
    gl.bindVertexArray(null);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, slots ?? new Uint32Array(0), gl.DYNAMIC_DRAW);
  }

  setPositions(xy: Float32Array): void {
    const { rows } = this.order;
    for (let slot = 0; slot < this.#n; slot++) {
      const row = rows[slot]!;
      const x = xy[2 * row]!;
      const y = xy[2 * row + 1]!;
      const there = x - x === 0 && y - y === 0;
      this.#positions[2 * slot] = there ? x : OFF_MAP;
      this.#positions[2 * slot + 1] = there ? y : OFF_MAP;
    }
    this.#write(this.#card.positions, this.#positions);
  }

  setValues(values: Float32Array): void {
    const { rows } = this.order;
    for (let slot = 0; slot < this.#n; slot++) this.#values[slot] = values[rows[slot]!]!;
    this.#write(this.#card.values, this.#values);
  }

  /** Which rows pass the filter; null for all of them. */
  setShown(keep: Uint8Array | null): void {
    if (keep === null) this.#shown = null;
    else {
      const { rows } = this.order;
      const slots = new Uint32Array(this.#n);
      let n = 0;
      for (let slot = 0; slot < this.#n; slot++) if (keep[rows[slot]!] !== 0) slots[n++] = slot;
      this.#shown = slots.slice(0, n);
    }
    this.#index(this.#card.shown, this.#shown);
  }

  setSelected(rows: Uint32Array | null): void {
    const { slots } = this.order;
    this.#selected = rows === null || rows.length === 0 ? null : rows.map((row) => slots[row]!);
    this.#index(this.#card.selected, this.#selected);
  }

  setHexes(layer: HexLayer | null): void {
    this.hexes = layer;
    this.#writeHexes();
  }

  #writeHexes(): void {
    if (this.hexes === null) return;
    this.#write(this.#card.hexCentres, this.hexes.centre);
    this.#write(this.#card.hexValues, this.hexes.value);
  }

  /** Draw; `share` of the points, for while the map moves. */
  draw(camera: Camera, look: Look, share = 1): void {
    const { gl } = this;
    if (gl.isContextLost() || this.ink === null) return;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(look.ground[0], look.ground[1], look.ground[2], 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    if (this.hexes !== null) this.#drawHexes(camera, this.hexes);
    else this.#drawPoints(camera, look, share, this.ink);
  }

  /** Wait until the card has drawn; for measuring. */
  finish(): void {
    const { gl } = this;
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
  }

  #drawPoints(camera: Camera, look: Look, share: number, ink: Ink): void {
    const { gl } = this;
    const { points, pointArray, shown, selected } = this.#card;
    points.use();
    gl.bindVertexArray(pointArray);
    this.#colours(points, ink);
    this.#frame(points, camera);
    points.float("ground", ...look.ground);
    const ratio = this.canvas.width / camera.width;
    points.float("size", Math.max(1, look.size * ratio));
    points.float("fade", 0);
    const part = (n: number): number => (share >= 1 ? n : Math.ceil(n * share));
    if (this.#shown !== null && look.ghost > 0) {
      points.int("scale", 0);
      points.float("plain", ...ink.missing, 1);
      points.float("alpha", look.ghost);
      gl.drawArrays(gl.POINTS, 0, part(this.#n));
      points.int("scale", SCALES[ink.scale]);
      points.float("plain", ...ink.plain, 1);
    }
    points.float("alpha", look.alpha);
    points.float("fade", this.#selected === null ? 0 : 0.72);
    if (this.#shown === null) gl.drawArrays(gl.POINTS, 0, part(this.#n));
    else {
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, shown);
      gl.drawElements(gl.POINTS, part(this.#shown.length), gl.UNSIGNED_INT, 0);
    }
    if (this.#selected !== null) {
      points.float("fade", 0);
      points.float("alpha", Math.max(look.alpha, 0.85));
      const least = this.#selected.length < FEW ? 4.5 : 0;
      points.float("size", Math.max(1, least * ratio, (look.size + 1) * ratio));
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, selected);
      gl.drawElements(gl.POINTS, part(this.#selected.length), gl.UNSIGNED_INT, 0);
    }
    gl.bindVertexArray(null);
  }

  #drawHexes(camera: Camera, layer: HexLayer): void {
    const { gl } = this;
    const { hexes, hexArray } = this.#card;
    hexes.use();
    gl.bindVertexArray(hexArray);
    this.#colours(hexes, layer.ink);
    this.#frame(hexes, camera);
    hexes.float("radius", layer.radius * 0.96);
    gl.drawArraysInstanced(gl.TRIANGLE_FAN, 0, 6, layer.value.length);
    gl.bindVertexArray(null);
  }

  #frame(program: Program, camera: Camera): void {
    program.float("centre", camera.x, camera.y);
    program.float("stretch", (2 * camera.kx) / camera.width, (2 * camera.ky) / camera.height);
  }

  #colours(program: Program, ink: Ink): void {
    const { gl } = this;
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.#card.table);
    if (this.#table !== ink.table) {
      gl.texImage2D(
        gl.TEXTURE_2D, 0, gl.RGBA, ink.table.length / 4, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, ink.table,
      );
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
      this.#table = ink.table;
    }
    program.int("table", 0);
    program.int("scale", SCALES[ink.scale]);
    program.float("range", ink.low, ink.high > ink.low ? ink.high : ink.low + 1e-6);
    program.float("missing", ...ink.missing, 1);
    program.float("plain", ...ink.plain, 1);
    program.float("entries", ink.table.length / 4);
  }
}

function hexCorners(): Float32Array {
  const corners = new Float32Array(12);
  for (let k = 0; k < 6; k++) {
    const angle = ((2 * k + 1) * Math.PI) / 6;
    corners[2 * k] = Math.cos(angle);
    corners[2 * k + 1] = Math.sin(angle);
  }
  return corners;
}
