// Colour maps that the colour-blind can read, and colours of categories.

import { COLOUR_TABLES } from "./colour_tables";
import type { Rgb } from "./scene";
import type { ClassInfo } from "./schema";

export type MapName = keyof typeof COLOUR_TABLES;

export const MAP_NAMES: readonly (readonly [MapName, string])[] = [
  ["viridis", "Viridis"],
  ["cividis", "Cividis"],
  ["magma", "Magma"],
  ["PuOr", "Orange–purple (diverging)"],
];

/** Okabe & Ito (2008) first, then Tol's muted scheme: apart for the colour-blind. */
const CATEGORIES = [
  "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#882255",
  "#44AA99", "#332288", "#DDCC77", "#AA4499", "#117733", "#88CCEE", "#999933", "#CC6677",
];

const NOT_A_GROUP = new Set(["", "NOR", "normal", "none", "-1", "unclassified", "False", "false", "no"]);

export const rgb = (hex: string): Rgb => {
  const value = parseInt(hex.replace("#", ""), 16);
  return [((value >> 16) & 255) / 255, ((value >> 8) & 255) / 255, (value & 255) / 255];
};

export const css = (colour: Rgb): string =>
  `rgb(${colour.map((part) => Math.round(part * 255)).join(" ")})`;

/** 256 RGBA entries. Ends too near the background are left out: dark ones on dark, pale on white. */
export function continuous(name: MapName, reversed: boolean, dark: boolean): Uint8Array {
  const table = COLOUR_TABLES[name];
  const steps = table.length / 6 - 1;
  let [from, to] = [0, 1];
  if (name !== "PuOr") [from, to] = dark ? [0.14, 1] : [0, 0.93];
  const out = new Uint8Array(1024);
  for (let i = 0; i < 256; i++) {
    const t = from + ((to - from) * (reversed ? 255 - i : i)) / 255;
    const at = Math.min(steps - 1, Math.floor(t * steps));
    const share = t * steps - at;
    for (let c = 0; c < 3; c++) {
      const a = parseInt(table.slice(6 * at + 2 * c, 6 * at + 2 * c + 2), 16);
      const b = parseInt(table.slice(6 * at + 6 + 2 * c, 6 * at + 8 + 2 * c), 16);
      out[4 * i + c] = Math.round(a + (b - a) * share);
    }
    out[4 * i + 3] = 255;
  }
  return out;
}

const luminance = ([r, g, b]: Rgb): number => 0.2126 * r + 0.7152 * g + 0.0722 * b;

export function readable(hex: string, dark: boolean): string {
  if (dark && luminance(rgb(hex)) < 0.24) return hex === "#000000" ? "#F2F2F2" : lighten(hex);
  return hex;
}

function lighten(hex: string): string {
  const parts = rgb(hex).map((part) => Math.round(255 * (part * 0.6 + 0.4)));
  return `#${parts.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}

/** One hex colour per category: a class's own, grey for what is no group, else the next free one. */
export function categoryColours(
  names: readonly string[],
  classes: readonly ClassInfo[],
  dark: boolean,
  given: readonly (string | null)[] = [],
): string[] {
  const own = new Map(classes.map((one) => [one.code, one.colour ?? ""]));
  const grey = dark ? "#5B6573" : "#BDBDBD";
  let next = 0;
  return names.map((name, i) => {
    if (NOT_A_GROUP.has(name)) return grey;
    const colour = given[i] || own.get(name) || own.get(name.split("_")[0]!);
    if (colour && /^#[0-9a-fA-F]{6}$/.test(colour)) return readable(colour, dark);
    return readable(CATEGORIES[next++ % CATEGORIES.length]!, dark);
  });
}

export function categoryTable(colours: readonly string[]): Uint8Array {
  const table = new Uint8Array(4 * Math.max(1, colours.length));
  colours.forEach((colour, i) => {
    const [r, g, b] = rgb(colour);
    table.set([r * 255, g * 255, b * 255, 255], 4 * i);
  });
  return table;
}
