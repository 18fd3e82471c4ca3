// Rows out of the page: files, and programs that speak SAMP.

import { api } from "./api";
import { report, type App } from "./app";
import { plural } from "./format";
import { notify } from "./notice";

export const FORMATS = [
  ["csv", "CSV"],
  ["fits", "FITS"],
  ["votable", "VOTable"],
] as const;

export type Format = (typeof FORMATS)[number][0];

const ENDINGS: Record<Format, string> = { csv: "csv", fits: "fits", votable: "vot" };

export function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export async function exportRows(app: App, rows: Uint32Array, format: Format): Promise<void> {
  try {
    const { blob, name } = await api.export(rows, format, []);
    save(blob, name ?? `siderea_${rows.length}.${ENDINGS[format]}`);
    notify(`${plural(rows.length, "object")} of ${app.schema.name} written as ${format}`);
  } catch (error) {
    report(error);
  }
}

export async function sendRows(rows: Uint32Array): Promise<void> {
  try {
    await api.samp(rows);
    notify(`${plural(rows.length, "object")} sent by SAMP`);
  } catch (error) {
    report(error);
  }
}
