// The queue of spectra most worth a look: step through it, label, go on.

import { api } from "./api";
import { report, type App } from "./app";
import { button, fill, h } from "./dom";
import { notify } from "./notice";
import { Signal } from "./signal";

const LENGTH = 50;

export class Review {
  readonly element = h("div", { class: "review" });
  readonly at = new Signal(-1);
  #rows: number[] = [];
  #ids: string[] = [];
  #reasons: string[] = [];

  constructor(readonly app: App) {
    this.at.watch(() => this.#draw(), true);
  }

  get running(): boolean {
    return this.at.value >= 0;
  }

  async start(): Promise<void> {
    try {
      const { rows, ids, reasons } = await api.review(LENGTH);
      [this.#rows, this.#ids, this.#reasons] = [rows, ids ?? [], reasons];
      if (rows.length === 0) notify("The queue is empty");
      else this.#go(0);
    } catch (error) {
      report(error);
    }
  }

  step(by: number): void {
    if (!this.running) return;
    const next = this.at.value + by;
    if (next >= this.#rows.length) {
      notify("That was the last one: refit, and a new queue comes");
      this.stop();
    } else if (next >= 0) this.#go(next);
  }

  stop(): void {
    this.at.set(-1);
  }

  #go(at: number): void {
    this.at.set(at); // first, so that the page knows why the object opens
    this.app.open(this.#rows[at]!);
  }

  #draw(): void {
    const at = this.at.value;
    if (at < 0) {
      fill(
        this.element,
        h("p", { class: "note" }, "The spectra that the classifier is least sure of, no two alike."),
        button("Start reviewing", () => void this.start(), { id: "review-start" }),
      );
      return;
    }
    fill(
      this.element,
      h(
        "p",
        { class: "review-now", id: "review-now" },
        h("b", {}, `${at + 1} of ${this.#rows.length}`),
        ` ${this.#ids[at] ?? ""}`,
      ),
      h("p", { class: "note" }, this.#reasons[at] ?? ""),
      h(
        "div",
        { class: "row" },
        button("← Previous", () => this.step(-1), { class: "small", title: "P" }),
        button("Next →", () => this.step(1), { class: "small", id: "review-next", title: "N" }),
        button("Stop", () => this.stop(), { class: "small" }),
      ),
    );
  }
}
