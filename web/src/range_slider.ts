// A slider with two handles, made of two native ones: keyboard and screen readers work as usual.

import { h } from "./dom";
import { number } from "./format";

const STEPS = 1000;

export interface Range {
  low: number;
  high: number;
}

export class RangeSlider {
  readonly element: HTMLElement;
  readonly #low: HTMLInputElement;
  readonly #high: HTMLInputElement;
  readonly #lowBox: HTMLInputElement;
  readonly #highBox: HTMLInputElement;
  readonly #fill: HTMLElement;
  #least = 0;
  #most = 1;
  #now: Range = { low: 0, high: 1 };

  constructor(
    label: string,
    readonly change: (range: Range) => void,
  ) {
    const slider = (end: string): HTMLInputElement =>
      h("input", {
        type: "range",
        min: 0,
        max: STEPS,
        step: 1,
        "aria-label": `${label}, ${end}`,
        input: () => this.#slid(end === "lowest"),
      });
    const box = (end: string): HTMLInputElement =>
      h("input", {
        type: "text",
        inputmode: "decimal",
        class: "number",
        "aria-label": `${label}, ${end} value`,
        change: () => this.#typed(end === "lowest"),
      });
    this.#low = slider("lowest");
    this.#high = slider("highest");
    this.#lowBox = box("lowest");
    this.#highBox = box("highest");
    this.#fill = h("span", { class: "range-fill", "aria-hidden": "true" });
    this.element = h(
      "div",
      { class: "range", role: "group", "aria-label": label },
      h("div", { class: "range-track" }, this.#fill, this.#low, this.#high),
      h("div", { class: "range-ends" }, this.#lowBox, this.#highBox),
    );
  }

  set(least: number, most: number, { low, high }: Range): void {
    this.#least = least;
    this.#most = most > least ? most : least + 1;
    this.#now = { low, high };
    const step = (value: number): string =>
      String(Math.round((STEPS * (value - this.#least)) / (this.#most - this.#least)));
    this.#low.value = step(low);
    this.#high.value = step(high);
    this.#low.setAttribute("aria-valuetext", number(low));
    this.#high.setAttribute("aria-valuetext", number(high));
    this.#lowBox.value = number(low, 4);
    this.#highBox.value = number(high, 4);
    this.#fill.style.left = `${Number(this.#low.value) / (STEPS / 100)}%`;
    this.#fill.style.right = `${100 - Number(this.#high.value) / (STEPS / 100)}%`;
  }

  #value(input: HTMLInputElement): number {
    const at = Number(input.value);
    if (at === 0) return this.#least;
    if (at === STEPS) return this.#most;
    return this.#least + ((this.#most - this.#least) * at) / STEPS;
  }

  #slid(isLow: boolean): void {
    const crossed = Number(this.#low.value) > Number(this.#high.value) - 1;
    if (crossed) {
      if (isLow) this.#low.value = String(Math.max(0, Number(this.#high.value) - 1));
      else this.#high.value = String(Math.min(STEPS, Number(this.#low.value) + 1));
    }
    const now = { ...this.#now };
    if (isLow || crossed) now.low = this.#value(this.#low);
    if (!isLow || crossed) now.high = this.#value(this.#high);
    this.#tell(now.low, now.high);
  }

  /** Only the box that was typed into is read: the other one shows a rounded number. */
  #typed(isLow: boolean): void {
    const box = isLow ? this.#lowBox : this.#highBox;
    const typed = Number(box.value.replace(/−/g, "-").replace(/,/g, ""));
    const { low, high } = isLow ? { ...this.#now, low: typed } : { ...this.#now, high: typed };
    if (Number.isFinite(typed) && low < high) this.#tell(low, high);
    else this.set(this.#least, this.#most, this.#now);
  }

  #tell(low: number, high: number): void {
    this.set(this.#least, this.#most, { low, high });
    this.change({ low, high });
  }
}
