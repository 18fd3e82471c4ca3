// How many points to draw while the view moves, so that a frame stays short on any card.

const TARGET = 28; // ms per frame: above 30 frames a second
const LEAST = 25_000;

export class Pace {
  /** The last of them, for measuring. */
  readonly times: number[] = [];
  #share = 1;

  /** Share of `n` points to draw now. */
  share(n: number): number {
    return Math.min(1, Math.max(LEAST / n, this.#share));
  }

  /** Learn from the time between a picture and the next frame, ms. */
  took(time: number, n: number): void {
    this.times.push(time);
    if (this.times.length > 2000) this.times.shift();
    if (time > 1.25 * TARGET) this.#share *= Math.max(0.3, TARGET / time);
    else if (time < 0.75 * TARGET) this.#share *= 1.15;
    this.#share = this.share(n);
  }
}
