// Giving classes and flags, taking them back, seeing what others gave, and the queue to review.

import { api } from "./api";
import { report, type App } from "./app";
import { readable } from "./colour_map";
import { button, fill, h, swatch } from "./dom";
import { save } from "./exports";
import { count, number, plural, when } from "./format";
import { notify } from "./notice";
import { Review } from "./review";
import type { LogEntry } from "./schema";
import type { News } from "./tasks";

const SHOWN = 100;

export class LabelPanel {
  readonly element: HTMLElement;
  readonly review: Review;
  readonly #target = h("p", { class: "target", "aria-live": "polite" });
  readonly #classes = h("div", { class: "class-grid", role: "group", "aria-label": "Class" });
  readonly #flag: HTMLInputElement;
  readonly #user: HTMLInputElement;
  readonly #comment: HTMLInputElement;
  readonly #apply: HTMLButtonElement;
  readonly #log = h("ol", { class: "log", "aria-label": "Log of labels" });
  readonly #refit = h("p", { class: "note", "aria-live": "polite" });
  readonly #refitButton: HTMLButtonElement;
  readonly #chosen = new Set<string>();

  constructor(
    readonly app: App,
    readonly news: News,
    readonly changed: () => void,
  ) {
    this.#user = h("input", { type: "text", id: "label-user", maxlength: 64, autocomplete: "off", placeholder: "your name" });
    this.#user.value = window.localStorage.getItem("siderea-user") ?? "";
    this.#user.addEventListener("change", () => window.localStorage.setItem("siderea-user", this.#user.value.trim()));
    this.#comment = h("input", { type: "text", id: "label-comment", maxlength: 500, autocomplete: "off", placeholder: "optional" });
    this.#flag = h("input", {
      type: "text", id: "label-flag", maxlength: 32, autocomplete: "off", list: "flag-words", placeholder: "a short word",
      input: () => this.#drawTarget(),
    });
    this.#apply = button("Give", () => void this.apply(), { class: "primary", id: "label-apply" });
    this.#refitButton = button("Refit the classifier", () => void this.#refitNow(), { id: "refit" });
    this.review = new Review(app);
    this.element = h(
      "div",
      { class: "panel label" },
      this.#target,
      this.#classes,
      h("datalist", { id: "flag-words" }, ...app.schema.flags.map((one) => h("option", { value: one.name }, one.meaning))),
      line("Flag", "label-flag", this.#flag),
      line("Name", "label-user", this.#user),
      line("Comment", "label-comment", this.#comment),
      h("div", { class: "row" }, this.#apply, button("Undo", () => void this.undo(), { id: "label-undo", title: "Takes back your last label (Ctrl Z)" })),
      this.#block("Classifier", h("div", { class: "row" }, this.#refitButton), this.#refit),
      this.#block("Review queue", this.review.element),
      this.#block(
        "Log",
        h(
          "div",
          { class: "row" },
          button("Export CSV", () => void this.#export(), { class: "small", id: "labels-export" }),
          this.#importer(),
        ),
        this.#log,
      ),
    );
    this.#drawClasses();
    app.selection.watch(() => this.#drawTarget());
    app.object.watch(() => this.#drawTarget());
    app.dark.watch(() => this.#drawClasses());
    news.entries.watch((entries) => this.#drawLog(entries), true);
    news.refit.watch(() => this.#drawRefit(), true);
    this.#drawTarget();
  }

  #block(title: string, ...inside: HTMLElement[]): HTMLElement {
    return h("section", { class: "block" }, h("h3", {}, title), ...inside);
  }

  // ------------------------------------------------------------------------------ what and whom

  #drawClasses(): void {
    const dark = this.app.dark.value;
    fill(
      this.#classes,
      ...this.app.schema.classes.map((one) => {
        const colour = /^#[0-9a-fA-F]{6}$/.test(one.colour ?? "") ? one.colour! : "#7a7a7a";
        return button(swatch(readable(colour, dark)), () => this.choose(one.code, true), {
          class: "class-button",
          "data-code": one.code,
          "aria-pressed": String(this.#chosen.has(one.code)),
          title: one.meaning ?? one.name,
        });
      }),
    );
    [...this.#classes.children].forEach((element, i) => {
      const one = this.app.schema.classes[i]!;
      element.append(
        h("b", {}, one.code),
        h("span", { class: "meaning" }, one.name),
        ...(i < 10 ? [h("kbd", {}, String((i + 1) % 10))] : []),
      );
    });
  }

  /** Choose a class; several together make a compound one. */
  choose(code: string, together: boolean): void {
    const was = this.#chosen.has(code);
    if (!together) this.#chosen.clear();
    if (was && together) this.#chosen.delete(code);
    else this.#chosen.add(code);
    for (const element of this.#classes.children) {
      const mine = this.#chosen.has((element as HTMLElement).dataset.code!);
      element.setAttribute("aria-pressed", String(mine));
    }
    this.#drawTarget();
  }

  chooseNumber(digit: number, together: boolean): void {
    const one = this.app.schema.classes[(digit + 9) % 10];
    if (one !== undefined) this.choose(one.code, together);
  }

  get #value(): { kind: "class" | "flag"; value: string } {
    const flag = this.#flag.value.trim();
    if (flag) return { kind: "flag", value: flag };
    return { kind: "class", value: [...this.#chosen].join("_") };
  }

  /** While reviewing, labels go to the object on screen and not to a selection. */
  get #rows(): Uint32Array {
    if (this.review.running && this.app.object.value !== null) return Uint32Array.of(this.app.object.value);
    return this.app.target;
  }

  #drawTarget(): void {
    const n = this.#rows.length;
    const one = n === 1 && (this.review.running || this.app.selection.value.rows.length === 0);
    const whom = n === 0 ? "Select or open something first" : one ? "The open object" : `The ${plural(n, "selected object")}`;
    this.#target.textContent = n === 0 ? whom : `${whom} will be given:`;
    const { value } = this.#value;
    this.#apply.textContent = value ? `Give ${value}${n > 1 ? ` to ${count(n)}` : ""}` : "Give";
    this.#apply.disabled = n === 0 || value === "";
  }

  // ------------------------------------------------------------------------------ acts

  async apply(): Promise<void> {
    const rows = this.#rows;
    const { kind, value } = this.#value;
    if (rows.length === 0 || value === "") return;
    const user = this.#named();
    if (user === null) return;
    this.#apply.disabled = true;
    try {
      await api.label({ rows: [...rows], kind, value, user, comment: this.#comment.value.trim() });
      this.#chosen.clear();
      this.#flag.value = this.#comment.value = "";
      this.#drawClasses();
      await this.news.ask();
      this.changed();
      notify(`${value} given to ${plural(rows.length, "object")}`);
      if (this.review.running) this.review.step(1);
    } catch (error) {
      report(error);
    }
    this.#drawTarget();
  }

  async undo(): Promise<void> {
    const user = this.#named();
    if (user === null) return;
    try {
      await api.undo(user);
      await this.news.ask();
      this.changed();
      notify("Taken back");
    } catch (error) {
      report(error);
    }
  }

  #named(): string | null {
    const user = this.#user.value.trim();
    if (user) return user;
    notify("Say who you are first: a name stands beside every label", "error");
    this.#user.focus();
    return null;
  }

  async #refitNow(): Promise<void> {
    this.#refitButton.disabled = true;
    await this.news.refitNow();
    this.#refitButton.disabled = false;
  }

  #drawRefit(): void {
    const state = this.news.refit.value;
    const note = this.app.schema.notes?.classify;
    if (this.app.schema.has.classify === false && note) this.#refit.textContent = note;
    else if (state === null) {
      this.#refit.textContent = "Learns from all labels, then colours the map by the probability of its classes.";
    } else if (state.state === "done") {
      const parts = [
        `Fitted on ${plural(state.n_labels ?? 0, "label")}`,
        state.accuracy ? `cross-validated accuracy ${number(100 * state.accuracy, 3)} %` : "",
        (state.classes ?? []).join(", "),
      ];
      this.#refit.textContent = parts.filter(Boolean).join(" · ");
    } else this.#refit.textContent = state.message || state.state;
  }

  // ------------------------------------------------------------------------------ log

  #drawLog(entries: readonly LogEntry[]): void {
    const last = entries.slice(-SHOWN).reverse();
    fill(this.#log, ...last.map((one) => this.#entry(one)));
    if (last.length === 0) fill(this.#log, h("li", { class: "note" }, "No labels yet."));
  }

  #entry(one: LogEntry): HTMLElement {
    const undo = one.action === "undo";
    return h(
      "li",
      { class: one.undone ? "undone" : "", "data-seq": one.seq },
      h(
        "button",
        {
          type: "button",
          class: "log-entry",
          title: "Select these",
          disabled: undo || one.rows.length === 0,
          click: () => this.app.select(Uint32Array.from(one.rows).sort(), `Label ${one.seq}`),
        },
        undo ? h("i", {}, "undo") : h("span", { class: "badge" }, one.value || "(taken away)"),
        h("span", {}, undo ? "" : ` ${plural(one.n ?? one.rows.length, "object")}`),
        h("span", { class: "note" }, `${one.user}, ${when(one.time)}`),
        one.comment ? h("span", { class: "comment" }, one.comment) : null,
      ),
    );
  }

  async #export(): Promise<void> {
    try {
      save(await api.exportLabels(), `${this.app.schema.name}_labels.csv`);
    } catch (error) {
      report(error);
    }
  }

  #importer(): HTMLElement {
    const input = h("input", {
      type: "file",
      accept: ".csv,text/csv",
      id: "labels-import",
      class: "visually-hidden",
      change: async () => {
        const file = input.files?.[0];
        const user = file ? this.#named() : null;
        if (file === undefined || user === null) return;
        try {
          const { n } = await api.importLabels(await file.text(), user);
          await this.news.ask();
          this.changed();
          notify(`${plural(n, "label")} read`);
        } catch (error) {
          report(error);
        }
        input.value = "";
      },
    });
    return h("label", { class: "button small", title: "CSV with columns id and class" }, "Import CSV", input);
  }
}

function line(name: string, id: string, control: HTMLElement): HTMLElement {
  return h("div", { class: "field" }, h("label", { class: "field-name", for: id }, name), control);
}
