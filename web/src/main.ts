// The page: schema, places and one colour first, so that there is a picture; then all the rest.

import { api, ApiError, connection, received } from "./api";
import { App } from "./app";
import { CcfView } from "./ccf_view";
import { ColourPanel } from "./colour_panel";
import { Columns } from "./columns";
import { DiagramsView } from "./diagrams_view";
import { button, h, icon } from "./dom";
import { FilterPanel } from "./filter_panel";
import { count } from "./format";
import { keyHelp, Tour } from "./help";
import { HistogramsView } from "./histograms_view";
import { listen } from "./keyboard";
import { LabelPanel } from "./label_panel";
import { LookPanel } from "./look_panel";
import { mountNotices, setBanner } from "./notice";
import { ObjectPanel } from "./object_panel";
import { Plane } from "./plane";
import type { Schema } from "./schema";
import { Search } from "./search";
import { SelectionPanel } from "./selection_panel";
import { SpectrumView } from "./spectrum_view";
import { splitter } from "./splitter";
import { TableView } from "./table_view";
import { Tabs } from "./tabs";
import { News } from "./tasks";
import { followTheme } from "./theme";
import { toolbar } from "./toolbar";

const $ = (selector: string): HTMLElement => document.querySelector<HTMLElement>(selector)!;

function stop(text: string): void {
  $("#loading").textContent = text;
  $("#loading").classList.add("stopped");
}

async function start(): Promise<void> {
  mountNotices(document.body);
  connection.watch((state) => setBanner(state === "up" ? null : state));
  if (document.createElement("canvas").getContext("webgl2") === null) {
    stop("This browser shows no WebGL2, which the map needs: update it, or switch hardware acceleration on.");
    return;
  }
  let schema: Schema;
  try {
    schema = await api.schema();
  } catch (error) {
    stop((error as ApiError).message);
    return;
  }
  const asked = new URLSearchParams(window.location.hash.slice(1));
  const map = schema.maps.find((one) => one.name === (asked.get("map") ?? schema.default.map)) ?? schema.maps[0];
  if (map === undefined) {
    stop("This store has no map yet: make one with siderea embed.");
    return;
  }
  const known = schema.columns.some((one) => one.key === asked.get("colour"));
  const colour = known ? asked.get("colour") : (schema.default.colour ?? null);
  const columns = new Columns(schema);
  if (colour !== null) void columns.get(colour).catch(() => null); // travels beside the places
  const app = new App(schema, map.name, await api.positions(map), columns);
  const coloured = app.colourBy(colour);
  build(app);
  await coloured;
  const row = asked.get("row");
  if (row !== null && /^\d+$/.test(row)) app.open(Number(row));
}

function build(app: App): void {
  const toggleTheme = followTheme(app.dark);
  const plane = new Plane(app, { name: "Map", locked: true, hexagons: true });
  const news = new News(app);
  const help = keyHelp();
  const tour = new Tour(document.body);
  document.body.append(help);

  const search = new Search(app, (row) => plane.reveal(row));
  header(app, search, { toggleTheme, help: () => help.showModal(), tour: () => tour.start() });

  const colour = new ColourPanel(app);
  const filter = new FilterPanel(app);
  const look = new LookPanel(app);
  $("#controls").append(look.map, colour.element, filter.element, look.points, look.hexagons);

  const spectrum = new SpectrumView(app);
  const ccf = new CcfView(app);
  const diagrams = new DiagramsView(app);
  const histograms = new HistogramsView(app);
  const table = new TableView(app);
  const spectra = app.schema.kind === "spectra";
  const views = [spectrum, ...(spectra ? [ccf] : []), histograms, table];
  const seen = (view: { shown(): void }) => () => {
    for (const other of views) if ((other as unknown) !== view) other.hidden();
    view.shown();
  };
  const dock = new Tabs("Views", [
    { id: "spectrum", title: spectra ? "Spectrum" : "Light curve", panel: spectrum.element, shown: seen(spectrum) },
    ...(spectra ? [{ id: "ccf", title: "CCF", panel: ccf.element, shown: seen(ccf) }] : []),
    { id: "diagrams", title: "Diagrams", panel: diagrams.element, shown: seen(diagrams) },
    { id: "histograms", title: "Histograms", panel: histograms.element, shown: seen(histograms) },
    { id: "table", title: "Table", panel: table.element, shown: seen(table) },
  ]);
  $("#map").append(plane.element, toolbar(app, plane), caption(app));
  $("#stage").insertBefore(splitter($("#stage")), $("#dock"));
  $("#dock").append(dock.element);

  const object = new ObjectPanel(app);
  const label = new LabelPanel(app, news, () => object.refresh());
  const selection = new SelectionPanel(app, {
    label: () => details.show("label"),
    table: () => dock.show("table"),
  });
  const details = new Tabs("Details", [
    { id: "object", title: "Object", panel: object.element },
    { id: "selection", title: "Selection", panel: selection.element, shown: () => selection.shown() },
    { id: "label", title: "Label", panel: label.element },
  ]);
  $("#details").append(details.element);
  app.object.watch(() => !label.review.running && details.show("object"));
  app.selection.watch(({ rows }) => rows.length > 0 && details.current === "object" && details.show("selection"));
  const listed = (): string => app.columns.list.map((one) => one.key).join("\n");
  let before = listed();
  app.renewed.watch(() => {
    if (listed() === before) return; // other values, the same columns: open lists stay open
    before = listed();
    for (const one of [colour, filter, diagrams, histograms, table]) one.refreshColumns();
  });
  app.positions.watch((xy) => plane.setPositions(xy));
  plane.setPositions(app.positions.value);

  listen(
    {
      v: () => app.tool.set("pan"),
      l: () => app.tool.set("lasso"),
      r: () => app.tool.set("rectangle"),
      h: () => app.tool.set("hexagon"),
      b: () => look.toggleHexagons(),
      f: () => plane.fit(),
      t: toggleTheme,
      e: () => filter.focus(),
      "/": () => search.focus(),
      "?": () => help.showModal(),
      "[": () => app.step(-1),
      "]": () => app.step(1),
      n: () => label.review.step(1),
      p: () => label.review.step(-1),
      c: () => {
        const column = app.columns.named("cluster");
        if (column !== undefined && app.object.value !== null) void app.selectSame(column.key, app.object.value);
      },
      Enter: () => details.current === "label" && void label.apply(),
      Escape: () => app.clearSelection(),
    },
    (digit, shift) => {
      details.show("label");
      label.chooseNumber(digit, shift);
    },
    () => void label.undo(),
  );
  remember(app);
  document.body.dataset.state = "ready";
  $("#loading").hidden = true;
  // for scripts and for the tests: what the console can use
  Object.assign(window, { siderea: { app, map: plane, diagrams, dock, details, received } });
  tour.startOnce();
  window.setTimeout(() => void spectrum.axis().catch(() => null), 500); // ready for the first click
}

function header(
  app: App,
  search: Search,
  acts: { toggleTheme: () => void; help: () => void; tour: () => void },
): void {
  document.title = `${app.schema.name} – siderea explorer`;
  const noun = app.schema.kind === "lightcurves" ? "light curves" : "spectra";
  $("#header").append(
    h("h1", {}, h("span", { class: "brand" }, "siderea"), h("span", { class: "store" }, app.schema.name)),
    h("p", { class: "projection" }, `Projection of ${count(app.n)} ${noun}`),
    search.element,
    button("Tour", acts.tour, { class: "plain text" }),
    h("button", { type: "button", class: "plain", id: "theme", "aria-label": "Light or dark", title: "Light or dark (T)", click: acts.toggleTheme }, icon("theme")),
    button("?", acts.help, { class: "plain", "aria-label": "Keys", title: "Keys (?)", id: "open-help" }),
  );
}

/** The line under the map: how many are shown, by what coloured, how many selected. */
function caption(app: App): HTMLElement {
  const line = h("p", { class: "caption" });
  const write = (): void => {
    const chosen = app.selection.value.rows.length;
    line.textContent = [
      app.summary,
      `coloured by ${app.colourTitle}`,
      chosen > 0 ? `${count(chosen)} selected` : "",
    ]
      .filter(Boolean)
      .join(" · ");
  };
  for (const signal of [app.mask, app.colour, app.selection]) {
    (signal as { watch(f: () => void, now?: boolean): unknown }).watch(write, true);
  }
  return line;
}

/** Keep map, colour and object in the address, so that a view can be sent to a colleague. */
function remember(app: App): void {
  const write = (): void => {
    const parts = new URLSearchParams({ map: app.map.value });
    const { data } = app.colour.value;
    if (data !== null) parts.set("colour", data.column.key);
    if (app.object.value !== null) parts.set("row", String(app.object.value));
    window.history.replaceState(null, "", `#${parts.toString()}`);
  };
  for (const signal of [app.map, app.colour, app.object]) {
    (signal as { watch(f: () => void): unknown }).watch(write);
  }
}

void start();
