// Work of the server's that the page waits for, and news of what others did.

import { api } from "./api";
import { report, type App } from "./app";
import { notify } from "./notice";
import { Signal } from "./signal";
import type { ClassifyState, LogEntry } from "./schema";

const EVERY = 2500; // ms between two questions for news
const EVERY_JOB = 700;
const KEPT = 400; // entries of the log that the page holds

/** The log of labels, kept up to date: ours and everyone's. */
export class News {
  readonly entries = new Signal<readonly LogEntry[]>([]);
  readonly refit = new Signal<ClassifyState | null>(null);
  #seen = { labels: -1, version: "", classify: "" };
  #busy: Promise<void> | null = null;

  constructor(readonly app: App) {
    this.#seen.version = String(app.schema.version);
    void this.ask();
    window.setInterval(() => {
      if (!document.hidden) void this.ask();
    }, EVERY);
  }

  /** Ask whether anything has changed, and read what has. */
  ask(): Promise<void> {
    this.#busy ??= this.#ask().finally(() => (this.#busy = null));
    return this.#busy;
  }

  async #ask(): Promise<void> {
    try {
      const { version, labels, classify } = await api.version();
      if (labels !== this.#seen.labels) await this.#read(labels);
      if (String(version) !== this.#seen.version) await this.app.renew();
      if (classify !== this.#seen.classify && classify !== "idle") this.refit.set(await api.refitState());
      this.#seen = { version: String(version), labels, classify };
    } catch {
      /* the banner says that the server is gone; the next question may find it back */
    }
  }

  /** Read what is new in the log; of a long one, only its end. */
  async #read(seq: number): Promise<void> {
    const held = this.entries.value;
    let since = held[held.length - 1]?.seq ?? Math.max(0, seq - KEPT);
    let all = [...held];
    for (;;) {
      const { entries, more } = await api.labels(since);
      all = [...all, ...entries];
      if (!more || entries.length === 0) break;
      since = entries[entries.length - 1]!.seq;
    }
    const undone = new Set(all.map((one) => one.undoes).filter((one) => typeof one === "number"));
    all = all.slice(-KEPT).map((one) => (undone.has(one.seq) ? { ...one, undone: true } : one));
    if (this.#seen.labels >= 0 && seq > this.#seen.labels) this.#tell(all);
    this.entries.set(all);
  }

  #tell(entries: LogEntry[]): void {
    const last = entries[entries.length - 1];
    const mine = window.localStorage.getItem("siderea-user");
    if (last !== undefined && last.user !== mine && last.seq > this.#seen.labels) {
      notify(`${last.user}: ${last.action === "undo" ? "undid a label" : `${last.value} for ${last.n}`}`);
    }
  }

  /** Refit the classifier, wait for it, and colour the map by its probability. */
  async refitNow(): Promise<void> {
    try {
      await api.refit(this.app.map.value);
      for (;;) {
        const state = await api.refitState();
        this.refit.set(state);
        if (state.state === "done" || state.state === "failed") break;
        await new Promise((resume) => window.setTimeout(resume, EVERY_JOB));
      }
      if (this.refit.value?.state !== "done") return;
      await this.app.renew();
      await this.app.colourBy("refit:probability");
    } catch (error) {
      this.refit.set(null);
      report(error);
    }
  }
}
