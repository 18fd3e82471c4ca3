// What the server says of a store: see docs/explorer-api.md.

export type Kind = "number" | "category" | "flags" | "text";

export interface Column {
  key: string;
  table: string;
  name: string;
  title?: string;
  kind: Kind;
  version?: string;
  unit?: string | null;
  description?: string | null;
  low?: number | null;
  high?: number | null;
  min?: number | null;
  max?: number | null;
  n_missing?: number;
  integer?: boolean;
  categories?: string[];
  /** Of categories that are classes: #RRGGBB, or null. */
  colours?: (string | null)[];
  flags?: FlagInfo[];
}

export interface Arm {
  name: string;
  start: number;
  stop: number;
}

export interface MapInfo {
  name: string;
  title?: string;
  version?: string;
  method?: string;
  parameters?: Record<string, unknown>;
  n?: number;
}

export interface SpectralLine {
  name: string;
  wavelength: number;
  width?: number;
}

export interface Band {
  name: string;
  low: number;
  high: number;
}

export interface ClassInfo {
  code: string;
  name: string;
  meaning?: string;
  colour?: string;
}

export interface FlagInfo {
  bit: number;
  name: string;
  meaning: string;
}

export interface Schema {
  name: string;
  n_rows: number;
  kind: "spectra" | "lightcurves";
  n_pixels: number;
  medium?: string | null;
  x_label?: string;
  x_unit?: string;
  features: string[];
  arms: Arm[];
  maps: MapInfo[];
  columns: Column[];
  lines: SpectralLine[];
  bands: Band[];
  classes: ClassInfo[];
  flags: FlagInfo[];
  has: { model?: boolean; ccf?: boolean; features?: boolean; labels?: boolean; classify?: boolean };
  notes?: Partial<Record<"model" | "ccf" | "classify", string>>;
  default: { map?: string | null; colour?: string | null };
  version: string | number;
}

export interface ObjectValue {
  key: string;
  table: string;
  name: string;
  value: number | string | boolean | null;
  unit?: string | null;
  description?: string | null;
}

export interface ObjectInfo {
  row: number;
  id: string;
  star_id?: string | null;
  ra?: number | null;
  dec?: number | null;
  values: ObjectValue[];
  flags: { name: string; meaning: string; column?: string }[];
  labels: LogEntry[];
  links: Partial<Record<"simbad" | "vizier" | "gaia", string>>;
}

export interface LogEntry {
  seq: number;
  time: string | number;
  user: string;
  action: string;
  n: number;
  rows: number[];
  ids?: string[];
  kind: "class" | "flag";
  value: string;
  comment: string;
  undone: boolean;
  /** Of an undo: the entry that it takes back. */
  undoes?: number | null;
}

export interface Ccf {
  velocity: number[];
  ccf: number[];
  error?: number[] | number | null;
  components: { rv: number; rv_err?: number | null; height?: number | null; vsini?: number | null }[];
}

export interface ClassifyState {
  state: "idle" | "running" | "done" | "failed";
  message: string;
  n_labels?: number;
  classes?: string[];
  accuracy?: number | null;
  version?: string | number;
}

/** A column's name as astronomers write it. */
export const titleOf = (column: Pick<Column, "name" | "title">): string => column.title || column.name;

/** The same as it stands on axes: with its unit. */
export function withUnit(column: Pick<Column, "name" | "title" | "unit">): string {
  return column.unit ? `${titleOf(column)} [${column.unit}]` : titleOf(column);
}
