// Short messages: spoken by screen readers, gone after some seconds; and one banner that stays.

import { h } from "./dom";

const SECONDS = { info: 3, error: 8 } as const;
let place: HTMLElement | null = null;
let banner: HTMLElement | null = null;

export function mountNotices(body: HTMLElement): void {
  place = h("div", { class: "notices", role: "status", "aria-live": "polite" });
  banner = h("div", { class: "banner", role: "alert", hidden: true });
  body.append(banner, place);
}

export function notify(text: string, kind: keyof typeof SECONDS = "info"): void {
  if (place === null) return;
  const note = h("div", { class: `notice ${kind}` }, text);
  place.replaceChildren(note);
  window.setTimeout(() => note.remove(), SECONDS[kind] * 1000);
}

/** A line across the top until it is cleared with null. */
export function setBanner(text: string | null): void {
  if (banner === null) return;
  banner.hidden = text === null;
  banner.textContent = text ?? "";
}
