// Elements made in code. Text goes in as text nodes only: nothing of a store is ever parsed as HTML.

export type Child = Node | string | number | null | undefined | false;
type Value = string | number | boolean | null | undefined | ((event: never) => unknown);
export type Attributes = Record<string, Value>;

function attach(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") {
      element.addEventListener(name, value as unknown as EventListener);
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
}

export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  attach(element, attributes);
  append(element, children);
  return element;
}

export function append(parent: Element, children: Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(child instanceof Node ? child : String(child));
  }
}

export function fill(parent: Element, ...children: Child[]): void {
  parent.replaceChildren();
  append(parent, children);
}

/** A link that leaves the page: https only, and the other side learns nothing of us. */
export function outside(url: string, text: string, title?: string): HTMLElement {
  if (!url.startsWith("https://")) return h("span", { class: "muted" }, text);
  return h(
    "a",
    { href: url, target: "_blank", rel: "noopener noreferrer", class: "out", title },
    text,
  );
}

const ICONS = {
  pan: "M8 1v14M1 8h14M8 1 6 3.2M8 1l2 2.2M8 15l-2-2.2M8 15l2-2.2M1 8l2.2-2M1 8l2.2 2M15 8l-2.2-2M15 8l-2.2 2",
  lasso: "M8 2.2c3.6 0 6.2 1.7 6.2 4s-2.6 4-6.2 4-6.2-1.7-6.2-4 2.6-4 6.2-4M4.3 9.6c-1.5.8-1.4 2.7 0 2.9 1.5.2 1.3 1.9.2 2.3",
  rectangle: "M2 3.5h12v9H2z",
  hexagon: "M8 1.6 13.6 4.8v6.4L8 14.4 2.4 11.2V4.8z",
  fit: "M2 6V2h4M10 2h4v4M14 10v4h-4M6 14H2v-4",
  plus: "M8 3v10M3 8h10",
  minus: "M3 8h10",
  close: "M4 4l8 8M12 4l-8 8",
  theme: "M8 2a6 6 0 1 0 0 12V2",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9M10.4 10.4 14 14",
  sidebar: "M2 3h12v10H2zM6 3v10",
  expand: "M4 10l4-4 4 4",
} as const;

export type IconName = keyof typeof ICONS;

const SVG = "http://www.w3.org/2000/svg";

export function icon(name: IconName): SVGElement {
  const svg = document.createElementNS(SVG, "svg");
  attach(svg, { viewBox: "0 0 16 16", class: "icon", "aria-hidden": "true" });
  const path = document.createElementNS(SVG, "path");
  attach(path, { d: ICONS[name] });
  svg.append(path);
  return svg;
}

export function swatch(colour: string): HTMLElement {
  const mark = h("span", { class: "swatch", "aria-hidden": "true" });
  mark.style.background = colour;
  return mark;
}

/** A labelled control on one line. */
export function field(label: string, control: HTMLElement, ...more: Child[]): HTMLElement {
  return h("label", { class: "field" }, h("span", { class: "field-name" }, label), control, ...more);
}

export function select(
  choices: readonly (readonly [value: string, text: string])[],
  value: string,
  change: (value: string) => void,
  attributes: Attributes = {},
): HTMLSelectElement {
  const element: HTMLSelectElement = h("select", {
    ...attributes,
    change: () => change(element.value),
  });
  for (const [one, text] of choices) element.append(h("option", { value: one }, text));
  element.value = value;
  return element;
}

export function button(
  text: Child,
  click: (event: MouseEvent) => void,
  attributes: Attributes = {},
): HTMLButtonElement {
  return h("button", { type: "button", ...attributes, click }, text);
}

/** A button that opens a small box of controls; Escape or a click elsewhere closes it. */
export function menu(title: string, ...inside: Child[]): HTMLDetailsElement {
  const box: HTMLDetailsElement = h(
    "details",
    {
      class: "menu",
      keydown: (event: KeyboardEvent) => {
        if (event.key !== "Escape") return;
        event.stopPropagation();
        box.open = false;
      },
    },
    h("summary", { class: "button small" }, title),
    h("div", { class: "menu-box" }, ...inside),
  );
  document.addEventListener("pointerdown", (event) => {
    if (!box.contains(event.target as Node)) box.open = false;
  });
  return box;
}

export function checkbox(
  text: string,
  checked: boolean,
  change: (checked: boolean) => void,
  attributes: Attributes = {},
): HTMLLabelElement {
  const box: HTMLInputElement = h("input", {
    type: "checkbox",
    ...attributes,
    change: () => change(box.checked),
  });
  box.checked = checked;
  return h("label", { class: "check" }, box, h("span", {}, text));
}
