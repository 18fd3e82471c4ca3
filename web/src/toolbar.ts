// The tools over the map.

import type { App, Tool } from "./app";
import { h, icon, type IconName } from "./dom";
import type { Plane } from "./plane";

const TOOLS: readonly (readonly [Tool, string, string])[] = [
  ["pan", "Move and click", "V"],
  ["lasso", "Lasso", "L"],
  ["rectangle", "Rectangle", "R"],
  ["hexagon", "Hexagon", "H"],
];

export function toolbar(app: App, map: Plane): HTMLElement {
  const buttons = new Map<Tool, HTMLElement>();
  const bar = h("div", { class: "tools", role: "toolbar", "aria-label": "Tools of the map", "aria-orientation": "vertical" });
  for (const [tool, name, key] of TOOLS) {
    const one = act(name, key, tool, () => app.tool.set(tool));
    one.id = `tool-${tool}`;
    buttons.set(tool, one);
    bar.append(one);
  }
  bar.append(
    h("span", { class: "divider", "aria-hidden": "true" }),
    act("Zoom in", "+", "plus", () => zoom(map, 1.5)),
    act("Zoom out", "−", "minus", () => zoom(map, 1 / 1.5)),
    act("Fit", "F", "fit", () => map.fit()),
  );
  app.tool.watch((now) => {
    for (const [tool, one] of buttons) one.setAttribute("aria-pressed", String(tool === now));
  }, true);
  return bar;
}

function act(name: string, key: string, picture: IconName, click: () => void): HTMLElement {
  return h("button", { type: "button", class: "tool", title: `${name} (${key})`, "aria-label": name, click }, icon(picture));
}

function zoom(map: Plane, factor: number): void {
  map.camera.zoom(factor);
  map.moved();
}
