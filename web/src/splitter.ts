// A bar between the map and what is under it: drag it, or move it by the arrow keys.

import { h } from "./dom";

const KEY = "siderea-dock";

export function splitter(stage: HTMLElement): HTMLElement {
  const set = (share: number): void => {
    const bounded = Math.min(0.85, Math.max(0.15, share));
    stage.style.setProperty("--dock", `${(100 * bounded).toFixed(1)}%`);
    bar.setAttribute("aria-valuenow", String(Math.round(100 * bounded)));
    window.localStorage.setItem(KEY, String(bounded));
  };
  const bar: HTMLElement = h("div", {
    class: "splitter",
    role: "separator",
    tabindex: 0,
    "aria-orientation": "horizontal",
    "aria-label": "Height of the lower part",
    "aria-valuemin": 15,
    "aria-valuemax": 85,
    pointerdown: (event: PointerEvent) => bar.setPointerCapture(event.pointerId),
    pointermove: (event: PointerEvent) => {
      if (!bar.hasPointerCapture(event.pointerId)) return;
      const box = stage.getBoundingClientRect();
      set((box.bottom - event.clientY) / box.height);
    },
    keydown: (event: KeyboardEvent) => {
      const by = event.key === "ArrowUp" ? 0.05 : event.key === "ArrowDown" ? -0.05 : 0;
      if (by === 0) return;
      event.preventDefault();
      set(Number(bar.getAttribute("aria-valuenow")) / 100 + by);
    },
  });
  set(Number(window.localStorage.getItem(KEY)) || 0.42);
  return bar;
}
