// Spectra: the object with its errors, model and two stars; means of the selection and a reference.

import uPlot from "uplot";
import { api, type MeanSpectrum, type Spectrum } from "./api";
import { report, type App } from "./app";
import { button, checkbox, fill, h, menu, swatch } from "./dom";
import { count, number } from "./format";
import { Gapless } from "./gapless";
import { drawBands, drawLines, type Marked } from "./line_marks";
import { Reference } from "./reference";
import { sample } from "./shuffle";

type Values = (number | null)[];
type Part = keyof typeof PARTS;
type Toggle = "difference" | "object" | "errors" | "model" | "mean" | "lines";

/** Series in the order in which they are drawn. */
const PARTS = {
  errorLow: "flux",
  errorHigh: "flux",
  flux: "flux",
  pin1: "pin1",
  pin2: "pin2",
  pin3: "pin3",
  selectionLow: "selection",
  selectionHigh: "selection",
  selection: "selection",
  referenceLow: "reference",
  referenceHigh: "reference",
  reference: "reference",
  difference: "selection",
  model: "model",
  star_1: "star1",
  star_2: "star2",
} as const;

const NAMES = Object.keys(PARTS) as Part[];
const BANDS: [high: Part, low: Part][] = [
  ["selectionHigh", "selectionLow"],
  ["referenceHigh", "referenceLow"],
  ["errorHigh", "errorLow"],
];
const USED = 2000; // rows behind a mean; the server samples no more either
const PINS = 3;

interface Pinned {
  label: string;
  flux: Float32Array;
}

export class SpectrumView {
  readonly element: HTMLElement;
  readonly reference: Reference;
  readonly #box = h("div", { class: "plot" });
  readonly #legend = h("div", { class: "plot-legend" });
  readonly #readout = h("output", { class: "readout", "aria-live": "off" });
  readonly #zooms = h("div", { class: "row zooms", role: "group", "aria-label": "Zoom to" });
  readonly #empty: HTMLElement;
  #axis: Gapless | null = null;
  #plot: uPlot | null = null;
  #series: Partial<Record<Part, Values>> = {};
  #blank: Values = [];
  #spectrum: { row: number; values: Spectrum } | null = null;
  #model: Record<string, Float32Array> = {};
  #mean: MeanSpectrum | null = null;
  #referenceMean: MeanSpectrum | null = null;
  #pins: Pinned[] = [];
  #stop = new AbortController();
  #meanJob = 0;
  #timer = 0;
  #label = "";
  #on: Record<Toggle, boolean> = { object: true, errors: false, model: true, mean: true, lines: true, difference: false };
  #seen = false;
  #stale = false;

  constructor(readonly app: App) {
    const what = app.schema.kind === "lightcurves" ? "light curve" : "spectrum";
    this.#empty = h(
      "p",
      { class: "empty" },
      `Click an object on the map to see its ${what}, or select many to see their mean.`,
    );
    this.#box.hidden = true;
    this.reference = new Reference(app, () => void this.#loadReference());
    const toggle = (name: Toggle, text: string) =>
      checkbox(text, this.#on[name], (on) => {
        this.#on[name] = on;
        this.#rebuildData();
      });
    this.element = h(
      "div",
      { class: "view spectrum" },
      h(
        "div",
        { class: "view-bar" },
        this.#zooms,
        menu(
          "Show",
          toggle("object", "the object"),
          toggle("errors", "its errors, ±1σ"),
          app.schema.has.model ? toggle("model", "fitted model, and its stars") : null,
          toggle("mean", "means of selection and reference"),
          toggle("difference", "only the difference of the means"),
          app.schema.lines.length + app.schema.bands.length > 0 ? toggle("lines", "lines and bands") : null,
          h(
            "div",
            { class: "row" },
            button("Pin the object", () => this.#pin(), { class: "small", title: "Keep it for comparison" }),
            button("Unpin all", () => this.#unpin(), { class: "small" }),
          ),
        ),
        this.reference.element,
      ),
      h("div", { class: "legend-line" }, this.#legend, this.#readout),
      this.#box,
      this.#empty,
    );
    app.object.watch((row) => void this.#load(row));
    app.selection.watch(() => this.#askMean());
    app.dark.watch(() => this.#build());
    new ResizeObserver(() => this.#resize()).observe(this.#box);
  }

  shown(): void {
    this.#seen = true;
    if (this.#stale) void this.#load(this.app.object.value);
    this.#resize();
    this.#askMean();
  }

  hidden(): void {
    this.#seen = false;
  }

  async axis(): Promise<Gapless> {
    if (this.#axis === null) {
      this.#axis = new Gapless(await api.wavelength(), this.app.schema.arms);
      this.#blank = new Array<null>(this.#axis.x.length).fill(null);
      this.#fillZooms(this.#axis);
    }
    return this.#axis;
  }

  // ------------------------------------------------------------------------------ data

  async #load(row: number | null): Promise<void> {
    this.#stop.abort();
    if (row === null) {
      this.#spectrum = null;
      this.#rebuildData();
      return;
    }
    if (!this.#seen) {
      this.#stale = true;
      return;
    }
    this.#stale = false;
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    try {
      const [values] = await Promise.all([api.spectrum(row, signal), this.axis()]);
      if (this.app.object.value !== row) return;
      this.#spectrum = { row, values };
      this.#model = {};
      this.#label = `tsne_id ${row}`;
      this.#rebuildData();
      this.element.dataset.row = String(row);
      performance.mark("siderea:spectrum");
      if (this.app.schema.has.model) await this.#loadModel(row, signal);
    } catch (error) {
      report(error);
    }
  }

  async #loadModel(row: number, signal: AbortSignal): Promise<void> {
    try {
      const model = await api.model(row, signal);
      if (this.app.object.value !== row) return;
      this.#model = model;
      this.#rebuildData();
    } catch {
      this.#model = {}; // no fit of this object
    }
  }

  #askMean(): void {
    window.clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => void this.#loadMean(), 60);
  }

  async #loadMean(): Promise<void> {
    const { rows } = this.app.selection.value;
    const job = ++this.#meanJob;
    if (rows.length === 0) {
      this.#mean = null;
      this.#rebuildData();
      return;
    }
    if (!this.#seen || !this.#on.mean) return;
    try {
      const [mean] = await Promise.all([api.meanSpectrum(sample(rows, USED)), this.axis()]);
      if (job !== this.#meanJob) return;
      this.#mean = mean;
      this.element.dataset.mean = String(rows.length);
      this.#rebuildData();
      if (this.reference.rows === null) this.reference.suggest();
    } catch (error) {
      report(error);
    }
  }

  async #loadReference(): Promise<void> {
    const { rows } = this.reference;
    this.#referenceMean = null;
    if (rows !== null && rows.length > 0) {
      try {
        const [mean] = await Promise.all([api.meanSpectrum(sample(rows, USED)), this.axis()]);
        if (this.reference.rows !== rows) return;
        this.#referenceMean = mean;
      } catch (error) {
        report(error);
      }
    }
    this.#rebuildData();
  }

  #pin(): void {
    if (this.#spectrum === null) return;
    const pinned = { label: this.#label, flux: masked(this.#spectrum.values) };
    this.#pins = [...this.#pins.filter((one) => one.label !== pinned.label), pinned].slice(-PINS);
    this.#rebuildData();
  }

  #unpin(): void {
    this.#pins = [];
    this.#rebuildData();
  }

  #rebuildData(): void {
    const axis = this.#axis;
    if (axis === null) return;
    const on = this.#on;
    const both = this.#mean !== null && this.#referenceMean !== null;
    const series = on.difference && both ? this.#difference(axis) : this.#curves(axis);
    this.#series = series;
    const any = Object.keys(series).length > 0;
    this.#empty.hidden = any;
    this.#box.hidden = !any;
    if (!any) {
      fill(this.#legend);
      return;
    }
    if (this.#plot === null) this.#build();
    else this.#update(this.#plot, axis);
    this.#drawLegend();
  }

  #difference(axis: Gapless): Partial<Record<Part, Values>> {
    const reference = this.#referenceMean!.mean;
    return { difference: axis.spread(this.#mean!.mean.map((value, p) => value - reference[p]!)) };
  }

  #curves(axis: Gapless): Partial<Record<Part, Values>> {
    const series: Partial<Record<Part, Values>> = {};
    const on = this.#on;
    if (this.#spectrum !== null && on.object) {
      const { flux, ivar } = this.#spectrum.values;
      const good = (pixel: number): boolean => ivar[pixel]! > 0;
      series.flux = axis.spread(flux, good);
      if (on.errors) {
        series.errorLow = axis.spread(flux.map((f, p) => f - 1 / Math.sqrt(ivar[p]!)), good);
        series.errorHigh = axis.spread(flux.map((f, p) => f + 1 / Math.sqrt(ivar[p]!)), good);
      }
    }
    if (on.model) {
      for (const name of ["model", "star_1", "star_2"] as const) {
        if (this.#model[name] !== undefined) series[name] = axis.spread(this.#model[name]);
      }
    }
    if (on.mean && this.#mean !== null) addMean(series, axis, "selection", this.#mean);
    const compared = this.#mean !== null || this.reference.chosen;
    if (on.mean && compared && this.#referenceMean !== null) addMean(series, axis, "reference", this.#referenceMean);
    this.#pins.forEach((pin, i) => (series[`pin${i + 1}` as Part] = axis.spread(pin.flux)));
    return series;
  }

  /** New curves in the plot that is there, at the zoom that it has. */
  #update(plot: uPlot, axis: Gapless): void {
    const { min, max } = plot.scales.x!;
    plot.batch(() => {
      plot.setData(this.#data(axis), false);
      NAMES.forEach((name, i) => {
        const show = this.#series[name] !== undefined;
        if (plot.series[i + 1]!.show !== show) plot.setSeries(i + 1, { show });
      });
      plot.setScale("x", { min: min!, max: max! });
    });
  }

  #data(axis: Gapless): uPlot.AlignedData {
    return [axis.x, ...NAMES.map((name) => this.#series[name] ?? this.#blank)] as uPlot.AlignedData;
  }

  // ------------------------------------------------------------------------------ drawing

  #colours(): Record<string, string> {
    const style = getComputedStyle(document.documentElement);
    const of = (name: string): string => style.getPropertyValue(`--${name}`).trim();
    return Object.fromEntries(
      ["flux", "model", "star1", "star2", "selection", "reference", "pin1", "pin2", "pin3", "ink", "muted", "line", "panel"].map(
        (name) => [name, of(name)],
      ),
    );
  }

  #build(): void {
    this.#plot?.destroy();
    this.#plot = null;
    const axis = this.#axis;
    if (axis === null || this.#box.hidden || this.#box.clientWidth === 0) return;
    const colours = this.#colours();
    const clear = "transparent";
    const options: uPlot.Options = {
      width: this.#box.clientWidth,
      height: Math.max(80, this.#box.clientHeight),
      legend: { show: false },
      cursor: { drag: { x: true, y: false, setScale: true }, points: { show: false }, y: false },
      scales: {
        x: { time: false, range: (_u, min, max) => [min, max] },
        y: { range: (u) => this.#limits(u) },
      },
      axes: [
        {
          stroke: colours.muted,
          grid: { stroke: colours.line, width: 1 },
          ticks: { stroke: colours.line, width: 1, size: 4 },
          font: '11px "Inter Variable", system-ui, sans-serif',
          labelFont: '11px "Inter Variable", system-ui, sans-serif',
          labelSize: 18,
          labelGap: 0,
          size: 26,
          gap: 3,
          label: this.#xLabel(),
          splits: (u, _axis, min, max) => axis.ticks(min, max, u.bbox.width / devicePixelRatio / 75).at,
          values: (u, _splits) =>
            axis.ticks(u.scales.x!.min!, u.scales.x!.max!, u.bbox.width / devicePixelRatio / 75).text,
        },
        {
          stroke: colours.muted,
          grid: { stroke: colours.line, width: 1 },
          ticks: { stroke: colours.line, width: 1, size: 4 },
          font: '11px "Inter Variable", system-ui, sans-serif',
          labelFont: '11px "Inter Variable", system-ui, sans-serif',
          labelSize: 18,
          labelGap: 0,
          size: 42,
          gap: 3,
          label: this.app.schema.kind === "lightcurves" ? "Flux" : "Normalised flux",
        },
      ],
      series: [
        {},
        ...NAMES.map((name): uPlot.Series => {
          const edge = name.endsWith("Low") || name.endsWith("High");
          const wide = name === "selection" || name === "reference" || name === "model";
          return {
            stroke: edge ? clear : colours[PARTS[name]]!,
            width: edge ? 0 : wide ? 1.5 : 1,
            dash: name === "reference" ? [5, 3] : undefined,
            show: this.#series[name] !== undefined,
            points: { show: this.app.schema.kind === "lightcurves" && name === "flux", size: 3 },
            spanGaps: false,
          };
        }),
      ],
      bands: BANDS.map(([high, low]) => ({
        series: [NAMES.indexOf(high) + 1, NAMES.indexOf(low) + 1] as uPlot.Band.Bounds,
        fill: `color-mix(in srgb, ${colours[PARTS[high]]!} 22%, transparent)`,
      })),
      hooks: {
        drawClear: [(u) => this.#on.lines && drawBands(u, this.#marked(axis), colours)],
        draw: [(u) => drawLines(u, this.#marked(axis), colours, this.#on.lines)],
        setCursor: [(u) => this.#read(u, axis)],
      },
    };
    this.#plot = new uPlot(options, this.#data(axis), this.#box);
    this.#plot.over.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.#drawLegend();
  }

  #xLabel(): string {
    const { x_label: label, x_unit: unit, medium, kind } = this.app.schema;
    if (label) {
      const inside = [unit, medium].filter(Boolean).join(", ");
      return inside ? `${label} [${inside}]` : label;
    }
    return kind === "lightcurves" ? "Phase" : `Wavelength [Å${medium ? `, ${medium}` : ""}]`;
  }

  #marked(axis: Gapless): Marked {
    return { axis, lines: this.app.schema.lines, bands: this.app.schema.bands };
  }

  /**
   * What is in view, but for the highest 0.3 % and the two lowest pixels: spikes do not flatten a
   * spectrum, and the cores of its lines stay in.
   */
  #limits(plot: uPlot): [number, number] {
    const x = this.#axis!.x;
    const min = plot.scales.x!.min ?? x[0]!;
    const max = plot.scales.x!.max ?? x[x.length - 1]!;
    const seen: number[] = [];
    for (const name of ["flux", "selectionLow", "selectionHigh", "selection", "reference", "model", "star_1", "star_2", "difference"] as const) {
      const values = this.#series[name];
      if (values === undefined) continue;
      const step = Math.max(1, Math.floor(x.length / 6000));
      for (let i = 0; i < x.length; i += step) {
        const value = values[i];
        if (value !== null && value !== undefined && x[i]! >= min && x[i]! <= max) seen.push(value);
      }
    }
    if (seen.length === 0) return [0, 1.2];
    seen.sort((a, b) => a - b);
    const low = seen[Math.min(2, seen.length - 1)]!;
    const high = seen[Math.ceil(0.997 * (seen.length - 1))]!;
    const pad = 0.07 * (high - low || 0.1);
    return [low - pad, high + 2.5 * pad];
  }

  #resize(): void {
    const { clientWidth: width, clientHeight: height } = this.#box;
    if (width === 0 || height === 0) return;
    if (this.#plot === null) this.#build();
    else if (this.#plot.width !== width || this.#plot.height !== height) {
      this.#plot.setSize({ width, height: Math.max(80, height) });
    }
  }

  #wheel(event: WheelEvent): void {
    event.preventDefault();
    const plot = this.#plot!;
    const { min, max } = plot.scales.x!;
    const at = plot.posToVal(event.offsetX, "x");
    const factor = Math.exp(0.0015 * event.deltaY);
    this.#zoom(at - (at - min!) * factor, at + (max! - at) * factor);
  }

  #zoom(min: number, max: number): void {
    const x = this.#axis!.x;
    const [least, most] = [x[0]!, x[x.length - 1]!];
    this.#plot?.setScale("x", { min: Math.max(least, min), max: Math.min(most, max) });
  }

  #read(plot: uPlot, axis: Gapless): void {
    const { left, idx } = plot.cursor;
    if (left === undefined || left < 0 || idx === null || idx === undefined) {
      this.#readout.textContent = "";
      return;
    }
    const wavelength = axis.toWavelength(axis.x[idx]!);
    const value = this.#series.flux?.[idx] ?? this.#series.selection?.[idx];
    const unit = this.app.schema.kind === "lightcurves" ? "" : " Å";
    this.#readout.textContent =
      wavelength === null ? "" : `${number(wavelength, 7)}${unit}   ${number(value, 4)}`;
  }

  #fillZooms(axis: Gapless): void {
    const x = axis.x;
    const zoom = (text: string, min: number, max: number, title: string): HTMLElement =>
      button(text, () => this.#zoom(min, max), { class: "small", title });
    const lines = this.app.schema.lines.flatMap((line) => {
      const at = axis.toAxis(line.wavelength);
      return at === null ? [] : [zoom(line.name, at - 25, at + 25, `${line.wavelength} Å`)];
    });
    const arms = axis.stretches.length > 1 ? axis.stretches : [];
    fill(
      this.#zooms,
      zoom("All", x[0]!, x[x.length - 1]!, "All of it (double click)"),
      ...arms.map((arm) => zoom(arm.name, arm.from, arm.to, `${number(arm.low)} to ${number(arm.high)} Å`)),
      lines.length > 0 ? h("span", { class: "divider" }) : null,
      ...lines.slice(0, 5),
    );
  }

  #drawLegend(): void {
    const colours = this.#colours();
    const entry = (colour: string, text: string): HTMLElement => h("span", {}, swatch(colours[colour]!), text);
    const { selection } = this.app;
    const used = (mean: MeanSpectrum, all: number): string =>
      mean.used < all ? `${count(mean.used)} of ${count(all)}` : count(all);
    fill(
      this.#legend,
      this.#series.flux ? entry("flux", this.#label) : null,
      this.#series.model ? entry("model", "model") : null,
      this.#series.star_1 ? entry("star1", "star 1") : null,
      this.#series.star_2 ? entry("star2", "star 2") : null,
      this.#series.selection
        ? entry("selection", `mean ±σ of the selection (${used(this.#mean!, selection.value.rows.length)})`)
        : null,
      this.#series.difference ? entry("selection", `mean of the selection − ${this.reference.title}`) : null,
      this.#series.reference
        ? entry("reference", `${this.reference.title} (${used(this.#referenceMean!, this.reference.rows?.length ?? 0)})`)
        : null,
      ...this.#pins.map((pin, i) => entry(`pin${i + 1}`, pin.label)),
    );
  }
}

function masked({ flux, ivar }: Spectrum): Float32Array {
  return flux.map((value, pixel) => (ivar[pixel]! > 0 ? value : NaN));
}

function addMean(
  series: Partial<Record<Part, Values>>,
  axis: Gapless,
  name: "selection" | "reference",
  { mean, sigma }: MeanSpectrum,
): void {
  series[name] = axis.spread(mean);
  series[`${name}Low`] = axis.spread(mean.map((value, p) => value - sigma[p]!));
  series[`${name}High`] = axis.spread(mean.map((value, p) => value + sigma[p]!));
}
