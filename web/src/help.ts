// The list of keys, and the tour of the first start.

import { button, h } from "./dom";

export const KEYS: readonly (readonly [keys: string, does: string])[] = [
  ["V", "move the map (drag), open an object (click)"],
  ["L", "lasso; Shift adds to the selection, Alt takes away"],
  ["R", "rectangle"],
  ["H", "hexagons: click one to select what is in it"],
  ["C", "select the island of the open object"],
  ["B", "bin the map into hexagons, or show points again"],
  ["F", "fit the whole map"],
  ["← ↑ → ↓, + −", "move and zoom the map that has the focus; Enter opens what is in the middle"],
  ["/", "search by id or tsne_id"],
  ["E", "write an expression to filter by"],
  ["[ and ]", "previous and next object of the selection"],
  ["1 … 9, 0", "choose a class; with Shift, add it to those chosen"],
  ["Enter", "give the chosen class, while the Label tab is open"],
  ["N and P", "next and previous of the review queue"],
  ["Ctrl Z", "take your last label back"],
  ["T", "light or dark"],
  ["Esc", "clear the selection"],
  ["?", "this list"],
];

export function keyHelp(): HTMLDialogElement {
  const dialog = h(
    "dialog",
    { class: "dialog", id: "help", "aria-labelledby": "help-title" },
    h("h2", { id: "help-title" }, "Keys"),
    h("dl", { class: "keys" }, ...KEYS.flatMap(([keys, does]) => [h("dt", {}, h("kbd", {}, keys)), h("dd", {}, does)])),
    h("div", { class: "row end" }, button("Close", () => dialog.close(), { class: "primary" })),
  );
  return dialog;
}

const KEY = "siderea-tour";

const STEPS: readonly (readonly [where: string, title: string, text: string])[] = [
  ["#map", "The map", "Every point is a spectrum; alike spectra lie together. Drag to move, turn the wheel to zoom, click a point to see its spectrum."],
  ["#controls", "Colours and filters", "Colour by any column, narrow its range, hide classes, or keep only what an expression like teff > 5000 and snr > 40 keeps."],
  [".tools", "Selecting", "Draw a lasso (L) or a rectangle (R), or click hexagons (H). The mean spectrum of what you select appears below, against all others."],
  ["#details", "Objects and labels", "Every label of an object, its neighbours, and links to the archives. Under Label you give classes; the classifier learns from them at once."],
];

export class Tour {
  readonly element = h("div", { class: "tour", role: "dialog", "aria-label": "Tour", hidden: true });
  readonly #spot = h("div", { class: "spot", "aria-hidden": "true", hidden: true });
  #at = 0;

  constructor(body: HTMLElement) {
    body.append(this.#spot, this.element);
    this.element.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Escape") this.stop();
    });
  }

  startOnce(): void {
    if (window.localStorage.getItem(KEY) === null) this.start();
  }

  start(): void {
    this.#show(0);
  }

  stop(): void {
    window.localStorage.setItem(KEY, "seen");
    this.element.hidden = this.#spot.hidden = true;
  }

  #show(at: number): void {
    this.#at = at;
    const [where, title, text] = STEPS[at]!;
    const last = at === STEPS.length - 1;
    const next = button(last ? "Start" : "Next", () => (last ? this.stop() : this.#show(this.#at + 1)), {
      class: "primary",
      id: "tour-next",
    });
    this.element.replaceChildren(
      h("h2", {}, title),
      h("p", {}, text),
      h(
        "div",
        { class: "row end" },
        h("span", { class: "note grow" }, `${at + 1} of ${STEPS.length}`),
        last ? "" : button("Skip", () => this.stop(), { id: "tour-skip" }),
        next,
      ),
    );
    this.element.hidden = false;
    this.#point(where);
    next.focus();
  }

  #point(where: string): void {
    const target = document.querySelector(where);
    this.#spot.hidden = target === null;
    if (target === null) return;
    const box = target.getBoundingClientRect();
    const { style } = this.#spot;
    style.left = `${box.left}px`;
    style.top = `${box.top}px`;
    style.width = `${box.width}px`;
    style.height = `${box.height}px`;
    const card = this.element;
    const right = box.right + 12 + 320 < window.innerWidth;
    const left = right ? box.right + 12 : box.left > 340 ? box.left - 332 : box.left + 16;
    card.style.left = `${left}px`;
    card.style.top = `${Math.min(window.innerHeight - 220, box.top + 24)}px`;
  }
}
