// A value that others may watch.

export class Signal<T> {
  #value: T;
  #watchers = new Set<(value: T) => void>();

  constructor(value: T) {
    this.#value = value;
  }

  get value(): T {
    return this.#value;
  }

  set(value: T): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    for (const watcher of [...this.#watchers]) watcher(value);
  }

  /** Call `watcher` at every change; `now` calls it once at the start too. */
  watch(watcher: (value: T) => void, now = false): () => void {
    this.#watchers.add(watcher);
    if (now) watcher(this.#value);
    return () => this.#watchers.delete(watcher);
  }
}
