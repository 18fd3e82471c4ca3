// What part of a plane is on screen. Pixels are CSS pixels, y down; a negative scale flips an axis.

export interface Bounds {
  left: number;
  right: number;
  bottom: number;
  top: number;
}

export function boundsOf(xy: Float32Array): Bounds {
  let left = Infinity;
  let right = -Infinity;
  let bottom = Infinity;
  let top = -Infinity;
  for (let i = 0; i < xy.length; i += 2) {
    const x = xy[i]!;
    const y = xy[i + 1]!;
    if (!(x - x === 0 && y - y === 0)) continue;
    if (x < left) left = x;
    if (x > right) right = x;
    if (y < bottom) bottom = y;
    if (y > top) top = y;
  }
  if (left > right) return { left: -1, right: 1, bottom: -1, top: 1 };
  return { left, right, bottom, top };
}

export class Camera {
  x = 0;
  y = 0;
  kx = 1;
  ky = 1;
  width = 1;
  height = 1;
  #home = { kx: 1, ky: 1 };

  constructor(
    readonly locked: boolean,
    readonly flipX = false,
    readonly flipY = false,
  ) {}

  resize(width: number, height: number): void {
    this.width = Math.max(1, width);
    this.height = Math.max(1, height);
  }

  /** Show all of `bounds`; `left` pixels are kept free for what lies over the plane. */
  fit(bounds: Bounds, left = 0): void {
    const [padX, padY] = [0.035 * this.width + 2, 0.035 * this.height + 2];
    let kx = Math.max(8, this.width - left - 2 * padX) / (bounds.right - bounds.left || 1);
    let ky = Math.max(8, this.height - 2 * padY) / (bounds.top - bounds.bottom || 1);
    if (this.locked) kx = ky = Math.min(kx, ky);
    this.kx = this.flipX ? -kx : kx;
    this.ky = this.flipY ? -ky : ky;
    this.x = (bounds.left + bounds.right) / 2 - left / 2 / this.kx;
    this.y = (bounds.bottom + bounds.top) / 2;
    this.#home = { kx, ky };
  }

  get zoomed(): number {
    return Math.abs(this.kx) / this.#home.kx;
  }

  pan(dx: number, dy: number): void {
    this.x -= dx / this.kx;
    this.y += dy / this.ky;
  }

  zoom(factor: number, px = this.width / 2, py = this.height / 2): void {
    const bounded = Math.min(Math.max(this.zoomed * factor, 0.2), 5000) / this.zoomed;
    const [x, y] = this.toData(px, py);
    this.kx *= bounded;
    this.ky *= bounded;
    this.x = x - (px - this.width / 2) / this.kx;
    this.y = y + (py - this.height / 2) / this.ky;
  }

  toScreen(x: number, y: number): [number, number] {
    return [this.width / 2 + (x - this.x) * this.kx, this.height / 2 - (y - this.y) * this.ky];
  }

  toData(px: number, py: number): [number, number] {
    return [
      this.x + (px - this.width / 2) / this.kx,
      this.y - (py - this.height / 2) / this.ky,
    ];
  }

  /** The visible part, left always below right. */
  get view(): Bounds {
    const [x0, y1] = this.toData(0, 0);
    const [x1, y0] = this.toData(this.width, this.height);
    return {
      left: Math.min(x0, x1),
      right: Math.max(x0, x1),
      bottom: Math.min(y0, y1),
      top: Math.max(y0, y1),
    };
  }
}
