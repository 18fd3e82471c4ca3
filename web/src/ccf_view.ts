// The cross-correlation function of the object, with the stars found in it.

import uPlot from "uplot";
import { api, ApiError } from "./api";
import { report, type App } from "./app";
import { fill, h } from "./dom";
import { number, plural } from "./format";
import type { Ccf } from "./schema";

export class CcfView {
  readonly element: HTMLElement;
  readonly #box = h("div", { class: "plot" });
  readonly #note = h("p", { class: "empty" });
  readonly #table = h("div", { class: "plot-legend" });
  #plot: uPlot | null = null;
  #ccf: Ccf | null = null;
  #row = -1;
  #seen = false;
  #stop = new AbortController();

  constructor(readonly app: App) {
    this.element = h("div", { class: "view" }, h("div", { class: "legend-line" }, this.#table), this.#box, this.#note);
    app.object.watch(() => this.#seen && void this.#load());
    app.dark.watch(() => this.#draw());
    new ResizeObserver(() => this.#draw()).observe(this.#box);
    this.#say("Click an object to see its cross-correlation function.");
  }

  shown(): void {
    this.#seen = true;
    void this.#load();
  }

  hidden(): void {
    this.#seen = false;
  }

  #say(text: string): void {
    this.#ccf = null;
    this.#note.textContent = text;
    this.#note.hidden = false;
    this.#box.hidden = true;
    fill(this.#table);
  }

  async #load(): Promise<void> {
    const row = this.app.object.value;
    if (row === null || row === this.#row) return;
    this.#row = row;
    this.#stop.abort();
    this.#stop = new AbortController();
    if (this.app.schema.has.ccf === false) return this.#say("This store has no spectra to correlate.");
    this.#say("Correlating …");
    try {
      const ccf = await api.ccf(row, this.#stop.signal);
      if (this.app.object.value !== row) return;
      this.#ccf = ccf;
      this.#note.hidden = true;
      this.#box.hidden = false;
      this.#draw();
      this.element.dataset.row = String(row);
    } catch (error) {
      this.#row = -1;
      if (error instanceof ApiError) this.#say(error.message);
      else report(error);
    }
  }

  #draw(): void {
    this.#plot?.destroy();
    this.#plot = null;
    if (this.#ccf === null || this.#box.clientWidth === 0) return;
    const { velocity, ccf, components, error } = this.#ccf;
    const style = getComputedStyle(document.documentElement);
    const of = (name: string): string => style.getPropertyValue(name).trim();
    const axis = {
      stroke: of("--muted"),
      grid: { stroke: of("--line"), width: 1 },
      ticks: { stroke: of("--line"), width: 1, size: 4 },
      font: '11px "Inter Variable", system-ui, sans-serif',
      labelFont: '11px "Inter Variable", system-ui, sans-serif',
      labelSize: 18,
      labelGap: 0,
    };
    const error_ = typeof error === "number" ? ccf.map(() => error) : error;
    const band = Array.isArray(error_);
    const data = [
      velocity,
      ccf,
      ...(band ? [ccf.map((v, i) => v - (error_[i] ?? 0)), ccf.map((v, i) => v + (error_[i] ?? 0))] : []),
    ] as uPlot.AlignedData;
    const hidden: uPlot.Series = { stroke: "transparent", width: 0, points: { show: false } };
    this.#plot = new uPlot(
      {
        width: this.#box.clientWidth,
        height: Math.max(80, this.#box.clientHeight),
        legend: { show: false },
        cursor: { points: { show: false }, y: false },
        scales: { x: { time: false } },
        axes: [
          { ...axis, size: 26, gap: 3, label: "Velocity [km/s]" },
          { ...axis, size: 42, gap: 3, label: "CCF" },
        ],
        series: [
          {},
          { stroke: of("--flux"), width: 1.5, points: { show: false } },
          ...(band ? [hidden, hidden] : []),
        ],
        bands: band
          ? [{ series: [3, 2], fill: `color-mix(in srgb, ${of("--flux")} 20%, transparent)` }]
          : [],
        hooks: { draw: [(u) => mark(u, components, [of("--star1"), of("--star2"), of("--pin3")])] },
      },
      data,
      this.#box,
    );
    this.#describe();
  }

  #describe(): void {
    const { components } = this.#ccf!;
    const colours = ["--star1", "--star2", "--pin3"];
    fill(
      this.#table,
      h("span", {}, components.length === 0 ? "no component found" : plural(components.length, "component")),
      ...components.map((one, i) => {
        const text = [
          `${number(one.rv, 4)}${one.rv_err ? ` ± ${number(one.rv_err, 2)}` : ""} km/s`,
          one.height ? `height ${number(one.height, 3)}` : "",
          one.vsini ? `v sin i ${number(one.vsini, 3)} km/s` : "",
        ].filter(Boolean);
        const entry = h("span", {}, text.join(", "));
        entry.style.color = `var(${colours[i % colours.length]!})`;
        return entry;
      }),
    );
  }
}

function mark(plot: uPlot, components: Ccf["components"], colours: string[]): void {
  const { ctx, bbox } = plot;
  ctx.save();
  components.forEach((one, i) => {
    const x = plot.valToPos(one.rv, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) return;
    ctx.strokeStyle = colours[i % colours.length]!;
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.setLineDash([5 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  });
  ctx.restore();
}
