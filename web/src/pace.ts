// How many points to draw while the view moves, so that a frame stays short on any card.

const TARGET = 28; // ms per frame: above 30 frames a second
const LEAST = 25_000;

export class Pace {
  #share = 1;
  #last = 0;

  /** Share of `n` points for the frame at `time`; learns from how long the last one took. */
  share(time: number, n: number): number {
    const took = time - this.#last;
    if (this.#last > 0 && took < 1000) {
      if (took > 1.25 * TARGET) this.#share *= Math.max(0.35, TARGET / took);
      else if (took < 0.75 * TARGET) this.#share *= 1.15;
    }
    this.#last = time;
    this.#share = Math.min(1, Math.max(LEAST / n, this.#share));
    return this.#share;
  }

  /** The view rests: a pause is no slow frame. */
  rest(): void {
    this.#last = 0;
  }

  /** What one full picture costs, ms, where it was measured. */
  set cost(full: number) {
    this.#share = Math.min(1, TARGET / Math.max(1, full));
  }
}
