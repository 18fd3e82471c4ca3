// A fixed random order of the rows. Points are kept on the graphics card in it, so that the first
// part of them is a fair sample (drawn while the map moves) and no row hides another by its number.

export interface Shuffle {
  /** Row at each slot of the buffers. */
  rows: Uint32Array;
  /** Slot of each row. */
  slots: Uint32Array;
}

export function generator(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 4294967296;
  };
}

export function shuffle(n: number): Shuffle {
  const random = generator(20190416);
  const rows = new Uint32Array(n);
  for (let i = 0; i < n; i++) rows[i] = i;
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const kept = rows[i]!;
    rows[i] = rows[j]!;
    rows[j] = kept;
  }
  const slots = new Uint32Array(n);
  for (let i = 0; i < n; i++) slots[rows[i]!] = i;
  return { rows, slots };
}

/** At most `size` of the rows, always the same ones, in ascending order. */
export function sample(rows: Uint32Array, size: number): Uint32Array {
  if (rows.length <= size) return rows;
  const random = generator(rows.length);
  const pool = rows.slice();
  for (let i = 0; i < size; i++) {
    const j = i + Math.floor(random() * (pool.length - i));
    const kept = pool[i]!;
    pool[i] = pool[j]!;
    pool[j] = kept;
  }
  return pool.slice(0, size).sort();
}
