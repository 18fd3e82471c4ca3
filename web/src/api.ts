// Calls to the server. Addresses are relative, so that the page works behind a proxy's prefix.

import type { Ccf, ClassifyState, Column, LogEntry, MapInfo, ObjectInfo, Schema } from "./schema";
import { Signal } from "./signal";

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** "up", or one line about what is wrong with the connection. */
export const connection = new Signal<string>("up");
/** Bytes received since the start, for the benchmark. */
export const received = { bytes: 0 };

const GONE = "The server does not answer. Is siderea explore still running? Trying again …";
const DENIED = "The server asks for a token: open the address that siderea explore printed.";

async function detail(response: Response): Promise<string> {
  try {
    const body: unknown = await response.json();
    const said = (body as { detail?: unknown }).detail;
    if (typeof said === "string") return said;
    if (Array.isArray(said)) return said.map((one) => (one as { msg: string }).msg).join("; ");
  } catch {
    /* not JSON: say the status */
  }
  return `the server answered ${response.status} ${response.statusText}`.trim();
}

async function call(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(`api/${path}`, { credentials: "same-origin", ...init });
  } catch (error) {
    if ((error as Error).name === "AbortError") throw error;
    connection.set(GONE);
    throw new ApiError(0, GONE);
  }
  connection.set(response.status === 401 ? DENIED : "up");
  if (!response.ok) throw new ApiError(response.status, await detail(response));
  return response;
}

async function json<T>(path: string, init?: RequestInit): Promise<T> {
  return (await (await call(path, init)).json()) as T;
}

async function buffer(path: string, init?: RequestInit): Promise<ArrayBuffer> {
  const bytes = await (await call(path, init)).arrayBuffer();
  received.bytes += bytes.byteLength;
  return bytes;
}

const post = (body: BodyInit, type: string): RequestInit => ({
  method: "POST",
  body,
  headers: { "Content-Type": type },
});
const postJson = (body: unknown): RequestInit => post(JSON.stringify(body), "application/json");
const postRows = (rows: Uint32Array): RequestInit =>
  post(rows.slice().buffer as ArrayBuffer, "application/octet-stream");
const part = encodeURIComponent;
/** With its version an array may be kept by the browser for good. */
const kept = (version?: string): string => (version ? `?v=${part(version)}` : "");

export interface ServerState {
  version: string;
  labels: number;
  classify: string;
}

export interface Spectrum {
  flux: Float32Array;
  ivar: Float32Array;
}

export interface MeanSpectrum {
  mean: Float32Array;
  sigma: Float32Array;
  used: number;
}

export const api = {
  schema: () => json<Schema>("schema"),

  positions: async (map: MapInfo) =>
    new Float32Array(await buffer(`maps/${part(map.name)}/xy${kept(map.version)}`)),

  column: ({ key, version }: Column) => buffer(`columns/${part(key)}${kept(version)}`),

  version: () => json<ServerState>("version"),

  wavelength: async () => new Float64Array(await buffer("wavelength")),

  spectrum: async (row: number, signal?: AbortSignal): Promise<Spectrum> => {
    const values = new Float32Array(await buffer(`spectra/${row}`, { signal }));
    const half = values.length / 2;
    return { flux: values.subarray(0, half), ivar: values.subarray(half) };
  },

  model: async (row: number, signal?: AbortSignal): Promise<Record<string, Float32Array>> => {
    const response = await call(`spectra/${row}/model`, { signal });
    const values = new Float32Array(await response.arrayBuffer());
    const names = (response.headers.get("X-Siderea-Parts") ?? "model").split(",");
    const size = values.length / names.length;
    return Object.fromEntries(
      names.map((name, i) => [name.trim(), values.subarray(i * size, (i + 1) * size)]),
    );
  },

  ccf: (row: number, signal?: AbortSignal) => json<Ccf>(`spectra/${row}/ccf`, { signal }),

  object: (row: number, signal?: AbortSignal) => json<ObjectInfo>(`objects/${row}`, { signal }),

  ids: (rows: Uint32Array) => json<{ ids: string[] }>("table?columns=catalogue:id", postRows(rows)).then((r) => r.ids),

  search: (text: string, signal?: AbortSignal) =>
    json<{ rows: number[]; ids: string[]; total: number }>(`search?q=${part(text)}`, { signal }),

  neighbours: (row: number, space: string, k: number, signal?: AbortSignal) =>
    json<{ rows: number[]; distances: number[]; ids: string[] }>(
      `neighbours/${row}?space=${part(space)}&k=${k}`,
      { signal },
    ),

  filter: async (expression: string) =>
    new Uint8Array(await buffer("filter", postJson({ expression }))),

  meanSpectrum: async (rows: Uint32Array): Promise<MeanSpectrum> => {
    const response = await call("selection/spectrum", postRows(rows));
    const values = new Float32Array(await response.arrayBuffer());
    const half = values.length / 2;
    return {
      mean: values.subarray(0, half),
      sigma: values.subarray(half),
      used: Number(response.headers.get("X-Siderea-Count") ?? rows.length),
    };
  },

  export: async (rows: Uint32Array, format: string, columns: string[]) => {
    const chosen = columns.map((one) => `&columns=${part(one)}`).join("");
    const response = await call(`export?format=${part(format)}${chosen}`, postRows(rows));
    const named = /filename="?([\w.-]+)"?/.exec(response.headers.get("Content-Disposition") ?? "");
    return { blob: await response.blob(), name: named?.[1] };
  },

  samp: (rows: Uint32Array) => json<{ clients?: unknown }>("samp", postRows(rows)),

  labels: (since: number) =>
    json<{ seq: number; more: boolean; entries: LogEntry[] }>(`labels?since=${since}`),

  label: (entry: { rows: number[]; kind: string; value: string; user: string; comment: string }) =>
    json<{ seq: number }>("labels", postJson(entry)),

  undo: (user: string) =>
    json<{ seq: number; undone: number | null }>("labels/undo", postJson({ user })),

  exportLabels: async () => (await call("labels/export")).blob(),

  importLabels: (csv: string, user: string) =>
    json<{ seq: number; n: number; unknown: unknown }>(
      `labels/import?user=${part(user)}`,
      post(csv, "text/csv"),
    ),

  refit: (map: string) => json<{ job: string }>(`classify?map=${part(map)}`, { method: "POST" }),

  refitState: () => json<ClassifyState>("classify"),

  review: (n: number) =>
    json<{ rows: number[]; ids: string[]; reasons: string[] }>(`review?n=${n}`),
};
