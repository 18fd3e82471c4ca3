// One object: what is known of it, what it is flagged for, what it resembles, and where else to look.

import { api } from "./api";
import { report, type App } from "./app";
import { tableTitle } from "./column_select";
import { button, fill, h, outside, select, type Child } from "./dom";
import { number, when } from "./format";
import { notify } from "./notice";
import { titleOf, type ObjectInfo, type ObjectValue } from "./schema";

const NEIGHBOURS = 20;

export class ObjectPanel {
  readonly element = h("div", { class: "panel object" });
  #stop = new AbortController();
  #needle = "";
  #space = "";
  #info: ObjectInfo | null = null;

  constructor(readonly app: App) {
    app.object.watch((row) => void this.#load(row), true);
    app.map.watch(() => this.#info && this.#draw());
  }

  /** Read the open object again, after its labels have changed. */
  refresh(): void {
    if (this.app.object.value !== null) void this.#load(this.app.object.value, true);
  }

  async #load(row: number | null, quietly = false): Promise<void> {
    this.#stop.abort();
    if (row === null) {
      this.#info = null;
      fill(
        this.element,
        h("p", { class: "empty" }, "No object is open. Click one on the map, or search by id or tsne_id."),
      );
      return;
    }
    this.#stop = new AbortController();
    if (!quietly) this.app.marks.set([]);
    try {
      const info = await api.object(row, this.#stop.signal);
      if (this.app.object.value !== row) return;
      this.#info = info;
      this.#draw();
      this.element.dataset.row = String(row);
    } catch (error) {
      report(error);
    }
  }

  #draw(): void {
    const info = this.#info!;
    const scroll = this.element.parentElement?.scrollTop ?? 0;
    fill(
      this.element,
      h(
        "header",
        { class: "object-head" },
        h("h2", { class: "object-id", title: info.id }, info.id),
        button("copy", () => void copy(info.id), { class: "link", "aria-label": "Copy the id" }),
        h(
          "p",
          { class: "note" },
          `tsne_id ${info.row}`,
          info.star_id ? ` · star ${info.star_id}` : "",
        ),
        position(info),
        this.#links(info),
      ),
      this.#flags(info),
      this.#labels(info),
      this.#neighbours(info.row),
      this.#values(info),
    );
    if (this.element.parentElement) this.element.parentElement.scrollTop = scroll;
  }

  #links({ links }: ObjectInfo): HTMLElement | null {
    const named: Child[] = [];
    for (const [key, text] of [["simbad", "SIMBAD"], ["vizier", "VizieR"], ["gaia", "Gaia archive"]] as const) {
      const url = links[key];
      if (url) named.push(outside(url, text, `${text}, by position`));
    }
    return named.length ? h("p", { class: "links" }, ...named) : null;
  }

  #flags({ flags }: ObjectInfo): HTMLElement | null {
    if (flags.length === 0) return h("p", { class: "note" }, "No flags are set.");
    return section(
      "Flags",
      h("ul", { class: "flags" }, ...flags.map((flag) => h("li", {}, h("b", {}, flag.name), ` ${flag.meaning}`))),
    );
  }

  #labels({ labels }: ObjectInfo): HTMLElement | null {
    const given = labels.filter((one) => !one.undone && one.action !== "undo");
    if (given.length === 0) return null;
    return section(
      "Labels given by people",
      h(
        "ul",
        { class: "given" },
        ...given.map((one) =>
          h(
            "li",
            {},
            h("span", { class: "badge" }, one.value),
            ` ${one.user}, ${when(one.time)}`,
            one.comment ? h("span", { class: "comment" }, one.comment) : null,
          ),
        ),
      ),
    );
  }

  // ------------------------------------------------------------------------------ neighbours

  #spaces(): [string, string][] {
    const { maps, features } = this.app.schema;
    return [
      ...maps.map((one): [string, string] => [`map:${one.name}`, `on map ${one.name}`]),
      ...features.map((name): [string, string] => [`features:${name}`, `in features ${name}`]),
    ];
  }

  #neighbours(row: number): HTMLElement {
    const list = h("div", { class: "neighbours" });
    const spaces = this.#spaces();
    const known = spaces.some(([key]) => key === this.#space);
    const space = known ? this.#space : `map:${this.app.map.value}`;
    const show = async (where: string): Promise<void> => {
      try {
        const { rows, distances, ids } = await api.neighbours(row, where, NEIGHBOURS);
        if (this.app.object.value !== row) return;
        this.app.marks.set(rows);
        fill(
          list,
          ...rows.map((one, i) =>
            button(ids[i] ?? String(one), () => this.app.open(one), {
              class: "chip",
              title: `tsne_id ${one}, distance ${number(distances[i], 3)}`,
            }),
          ),
          button("select these", () => this.app.select(Uint32Array.from([...rows, row]).sort(), "Neighbours"), {
            class: "link",
          }),
        );
      } catch (error) {
        report(error);
      }
    };
    const choice = select(
      spaces,
      space,
      (where) => {
        this.#space = where;
        void show(where);
      },
      { "aria-label": "Neighbours where" },
    );
    return section(
      "Neighbours",
      h("div", { class: "row" }, choice, button("Show", () => void show(choice.value), { class: "small", id: "show-neighbours" })),
      list,
    );
  }

  // ------------------------------------------------------------------------------ values

  #values({ values }: ObjectInfo): HTMLElement {
    const body = h("div", {});
    const show = (): void => {
      const words = this.#needle.toLowerCase();
      const tables = new Map<string, ObjectValue[]>();
      for (const one of values) {
        if (one.value === null || !`${one.name} ${this.#title(one)}`.toLowerCase().includes(words)) continue;
        tables.set(one.table, [...(tables.get(one.table) ?? []), one]);
      }
      fill(body, ...[...tables].map(([table, list]) => this.#group(table, list)));
    };
    const needle = h("input", {
      type: "search",
      placeholder: "find a label …",
      "aria-label": "Find among the labels",
      input: () => {
        this.#needle = needle.value;
        show();
      },
    });
    needle.value = this.#needle;
    show();
    return section("All labels", needle, body);
  }

  /** Whether a column sorts objects into groups: words, flags, and counted things. */
  #groups(key: string): boolean {
    const column = this.app.columns.info(key);
    if (column?.kind === "number") return column.integer === true;
    return column?.kind === "category" || column?.kind === "flags";
  }

  #title({ key, name }: ObjectValue): string {
    return titleOf(this.app.columns.info(key) ?? { name });
  }

  #group(table: string, list: ObjectValue[]): HTMLElement {
    const lines = list.flatMap((one) => {
      const colour = (): void => void this.app.colourBy(one.key);
      const plottable = this.app.columns.info(one.key)?.kind !== "text";
      const title = this.#title(one);
      return [
        h(
          "dt",
          { title: one.description || one.name },
          plottable ? button(title, colour, { class: "link", title: "Colour the map by it" }) : title,
        ),
        h(
          "dd",
          {},
          typeof one.value === "number" && plottable ? number(one.value, 6) : String(one.value),
          one.unit ? h("span", { class: "unit" }, ` ${one.unit}`) : null,
          this.#groups(one.key)
            ? button("all", () => void this.app.selectSame(one.key, this.#info!.row), {
                class: "link same",
                "aria-label": `Select all whose ${title} is the same`,
                title: "Select all that have this value",
              })
            : null,
        ),
      ];
    });
    return h("div", { class: "values" }, h("h4", {}, tableTitle(table)), h("dl", {}, ...lines));
  }
}

function section(title: string, ...inside: HTMLElement[]): HTMLElement {
  return h("section", { class: "block" }, h("h3", {}, title), ...inside);
}

function position({ ra, dec }: ObjectInfo): HTMLElement | null {
  if (ra === null || ra === undefined || dec === null || dec === undefined) return null;
  const text = `${ra.toFixed(5)} ${dec >= 0 ? "+" : "−"}${Math.abs(dec).toFixed(5)}`;
  return h("p", { class: "note" }, `RA, Dec ${text}°`);
}

async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    notify("Copied");
  } catch {
    notify("This browser does not let the page copy", "error");
  }
}
