// A wavelength axis without the gaps between arms: linear within an arm, arms side by side.

import { ticks, tick } from "./format";
import type { Arm } from "./schema";

export interface Stretch {
  name: string;
  start: number;
  stop: number;
  low: number;
  high: number;
  /** Where the arm begins and ends on the axis. */
  from: number;
  to: number;
}

const GAP = 0.012; // of all arms together

export class Gapless {
  readonly stretches: Stretch[];
  /** Place on the axis of each pixel, with one more between arms, where the line breaks. */
  readonly x: Float64Array;

  constructor(
    readonly wavelength: Float64Array,
    arms: readonly Arm[],
  ) {
    const given = arms.length > 0 ? arms : [{ name: "", start: 0, stop: wavelength.length }];
    const spans = given.map((arm) => wavelength[arm.stop - 1]! - wavelength[arm.start]!);
    const gap = GAP * spans.reduce((sum, span) => sum + span, 0);
    let from = wavelength[given[0]!.start] ?? 0;
    this.stretches = given.map((arm, i) => {
      const low = wavelength[arm.start]!;
      const stretch = { ...arm, low, high: low + spans[i]!, from, to: from + spans[i]! };
      from = stretch.to + gap;
      return stretch;
    });
    this.x = new Float64Array(wavelength.length + this.stretches.length - 1);
    let at = 0;
    this.stretches.forEach((one, i) => {
      if (i > 0) this.x[at++] = one.from - gap / 2;
      for (let p = one.start; p < one.stop; p++) this.x[at++] = this.wavelength[p]! - one.low + one.from;
    });
    this.x = this.x.subarray(0, at);
  }

  /** Values of pixels as uPlot wants them: null where there is none, and between arms. */
  spread(values: Float32Array, good?: (pixel: number) => boolean): (number | null)[] {
    const out = new Array<number | null>(this.x.length);
    let at = 0;
    this.stretches.forEach((one, i) => {
      if (i > 0) out[at++] = null;
      for (let p = one.start; p < one.stop; p++) {
        const value = values[p]!;
        out[at++] = value - value === 0 && (good === undefined || good(p)) ? value : null;
      }
    });
    return out;
  }

  toAxis(wavelength: number): number | null {
    const one = this.stretches.find(({ low, high }) => wavelength >= low && wavelength <= high);
    return one === undefined ? null : wavelength - one.low + one.from;
  }

  toWavelength(x: number): number | null {
    const one = this.stretches.find(({ from, to }) => x >= from && x <= to);
    return one === undefined ? null : x - one.from + one.low;
  }

  /** Round wavelengths within each visible arm, and how to write them. */
  ticks(min: number, max: number, wanted: number): { at: number[]; text: string[] } {
    const at: number[] = [];
    const text: string[] = [];
    for (const one of this.stretches) {
      const [from, to] = [Math.max(min, one.from), Math.min(max, one.to)];
      if (to <= from) continue;
      const share = Math.max(1, Math.round((wanted * (to - from)) / (max - min)));
      const [low, high] = [from - one.from + one.low, to - one.from + one.low];
      const steps = ticks(low, high, share);
      for (const value of steps.at) {
        at.push(value - one.low + one.from);
        text.push(tick(value, steps.step));
      }
    }
    return { at, text };
  }
}
