// Light or dark: the system's wish until someone chooses.

import type { Signal } from "./signal";

const KEY = "siderea-theme";

export function followTheme(dark: Signal<boolean>): () => void {
  const wish = window.matchMedia("(prefers-color-scheme: dark)");
  const apply = (): void => {
    const chosen = window.localStorage.getItem(KEY);
    const on = chosen === null ? wish.matches : chosen === "dark";
    document.documentElement.dataset.theme = on ? "dark" : "light";
    dark.set(on);
  };
  wish.addEventListener("change", apply);
  apply();
  return () => {
    window.localStorage.setItem(KEY, dark.value ? "light" : "dark");
    apply();
  };
}
