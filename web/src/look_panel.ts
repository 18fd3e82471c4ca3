// Which map, how large and opaque the points are, and the hexagons.

import type { App } from "./app";
import { button, checkbox, field, h, select } from "./dom";
import { number } from "./format";

function slider(
  label: string,
  { min, max, step, value }: { min: number; max: number; step: number; value: number },
  change: (value: number) => void,
): { element: HTMLElement; input: HTMLInputElement; output: HTMLOutputElement } {
  const output = h("output", {}, "auto");
  const input = h("input", {
    type: "range",
    min,
    max,
    step,
    value,
    "aria-label": label,
    input: () => {
      output.textContent = number(Number(input.value));
      change(Number(input.value));
    },
  });
  return { element: field(label, input, output), input, output };
}

export class LookPanel {
  readonly map: HTMLElement;
  readonly points: HTMLElement;
  readonly hexagons: HTMLElement;
  readonly #hexBox: HTMLInputElement;

  constructor(readonly app: App) {
    this.map = this.#mapChoice();
    this.points = this.#points();
    const box = checkbox("Bin the map", app.hex.value.on, (on) => app.hex.set({ ...app.hex.value, on }), {
      id: "hex-on",
    });
    this.#hexBox = box.querySelector("input")!;
    this.hexagons = this.#hexagons(box);
  }

  toggleHexagons(): void {
    this.#hexBox.checked = !this.#hexBox.checked;
    this.app.hex.set({ ...this.app.hex.value, on: this.#hexBox.checked });
  }

  #mapChoice(): HTMLElement {
    const { app } = this;
    const note = h("p", { class: "note" });
    const describe = (): void => {
      const info = app.schema.maps.find((one) => one.name === app.map.value);
      const parts = [info?.method, ...parameters(info?.parameters)].filter(Boolean);
      note.textContent = parts.join(" · ");
    };
    app.map.watch(describe, true);
    const choice = select(
      app.schema.maps.map((one) => [one.name, one.name]),
      app.map.value,
      (name) => void app.showMap(name),
      { id: "map-choice" },
    );
    app.map.watch((name) => (choice.value = name));
    return h("section", { class: "group", "aria-label": "Map" }, h("h2", {}, "Map"), field("Map", choice), note);
  }

  #points(): HTMLElement {
    const { look } = this.app;
    const size = slider("Size", { min: 1, max: 12, step: 0.5, value: 3 }, (value) =>
      look.set({ ...look.value, size: value }),
    );
    const opacity = slider("Opacity", { min: 0.02, max: 1, step: 0.02, value: 0.8 }, (value) =>
      look.set({ ...look.value, opacity: value }),
    );
    const automatic = (): void => {
      size.output.textContent = opacity.output.textContent = "auto";
      look.set({ ...look.value, size: null, opacity: null });
    };
    return h(
      "section",
      { class: "group", "aria-label": "Points" },
      h("h2", {}, "Points", button("auto", automatic, { class: "link heading-action" })),
      size.element,
      opacity.element,
      checkbox("Keep what is filtered out as a faint ground", true, (ghosts) =>
        look.set({ ...look.value, ghosts }),
      ),
    );
  }

  #hexagons(box: HTMLElement): HTMLElement {
    const { hex } = this.app;
    const across = slider("Across", { min: 8, max: 160, step: 1, value: hex.value.across }, (value) =>
      hex.set({ ...hex.value, across: value }),
    );
    across.output.textContent = String(hex.value.across);
    return h(
      "section",
      { class: "group", "aria-label": "Hexagons" },
      h("h2", {}, "Hexagons"),
      box,
      across.element,
      field(
        "Show",
        select(
          [
            ["count", "number of objects"],
            ["value", "mean of the colour (or its mode)"],
          ],
          hex.value.show,
          (show) => hex.set({ ...hex.value, show: show as "count" | "value" }),
          { id: "hex-show" },
        ),
      ),
    );
  }
}

function parameters(given: Record<string, unknown> | undefined): string[] {
  if (given === undefined) return [];
  const known: [string, string][] = [
    ["perplexity", "perplexity"],
    ["passes", "passes"],
    ["autoencoder", "autoencoder"],
  ];
  return known
    .filter(([key]) => typeof given[key] === "number" || typeof given[key] === "string")
    .map(([key, text]) => `${text} ${String(given[key])}`);
}
