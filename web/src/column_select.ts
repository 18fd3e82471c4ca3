// A list of columns by table, for the choices all over the page.

import { h, type Attributes } from "./dom";
import { titleOf, type Column } from "./schema";

export function columnSelect(
  columns: readonly Column[],
  value: string,
  change: (key: string) => void,
  attributes: Attributes = {},
  first?: readonly [value: string, text: string],
): HTMLSelectElement {
  const element: HTMLSelectElement = h("select", { ...attributes, change: () => change(element.value) });
  if (first !== undefined) element.append(h("option", { value: first[0] }, first[1]));
  const tables = new Map<string, HTMLOptGroupElement>();
  for (const column of columns) {
    let group = tables.get(column.table);
    if (group === undefined) {
      group = h("optgroup", { label: tableTitle(column.table) });
      tables.set(column.table, group);
      element.append(group);
    }
    const name = titleOf(column);
    const text = name === column.name ? name : `${name}  (${column.name})`;
    group.append(h("option", { value: column.key, title: column.description }, text));
  }
  element.value = value;
  return element;
}

const TABLES: Record<string, string> = {
  catalogue: "Catalogue",
  classes: "Classes",
  labels: "Labels given by people",
  refit: "Refitted classifier",
};

export function tableTitle(table: string): string {
  const known = TABLES[table];
  if (known !== undefined) return known;
  const words = table.replace(/_/g, " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
