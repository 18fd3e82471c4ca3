// Keys of the whole page. What is typed into a box is left alone.

export type Keys = Record<string, (event: KeyboardEvent) => void>;

function typing(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return !["checkbox", "radio", "range", "button"].includes(target.type);
  return target instanceof HTMLSelectElement || target instanceof HTMLTextAreaElement;
}

export function listen(keys: Keys, digit: (n: number, shift: boolean) => void, undo: () => void): void {
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") !== null || typing(event.target)) return;
    const control = event.ctrlKey || event.metaKey;
    if (control && event.key.toLowerCase() === "z") {
      event.preventDefault();
      undo();
      return;
    }
    if (control || event.altKey) return;
    const number = /^Digit(\d)$/.exec(event.code);
    if (number !== null) {
      digit(Number(number[1]), event.shiftKey);
      return;
    }
    const act = keys[event.key] ?? keys[event.key.toLowerCase()];
    if (act === undefined) return;
    if (event.key === "Enter" && event.target instanceof HTMLButtonElement) return;
    event.preventDefault();
    act(event);
  });
}
