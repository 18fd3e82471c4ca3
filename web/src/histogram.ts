// Counts in even bins, and a small drawing of them.

import { MISSING } from "./hexbin";

export interface Bins {
  low: number;
  high: number;
  counts: Float64Array;
}

/** Bins of the kept rows, or of `rows` where given; values outside the range are left out. */
export function bins(
  values: Float32Array,
  low: number,
  high: number,
  n: number,
  keep: Uint8Array | null,
  rows?: Uint32Array,
): Bins {
  const counts = new Float64Array(n);
  const factor = n / (high - low || 1);
  const add = (row: number): void => {
    const value = values[row]!;
    if (value <= MISSING || (keep !== null && keep[row] === 0)) return;
    const bin = Math.floor((value - low) * factor);
    if (bin >= 0 && bin < n) counts[bin]!++;
    else if (value === high) counts[n - 1]!++;
  };
  if (rows !== undefined) for (const row of rows) add(row);
  else for (let row = 0; row < values.length; row++) add(row);
  return { low, high, counts };
}

/** Size a canvas to its box in device pixels; returns a context in CSS pixels. */
export function surface(
  canvas: HTMLCanvasElement,
): { context: CanvasRenderingContext2D; width: number; height: number } | null {
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  const context = canvas.getContext("2d");
  if (context === null || width === 0 || height === 0) return null;
  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

export interface Layer {
  bins: Bins;
  colour: string | ((bin: number) => string);
  outline?: boolean;
}

/** Layers one over another, each scaled to its own peak (or to the first layer's). */
export function drawBins(
  canvas: HTMLCanvasElement,
  layers: Layer[],
  together = false,
): void {
  const place = surface(canvas);
  if (place === null) return;
  const { context, width, height } = place;
  const peaks = layers.map((layer) => Math.max(1, ...layer.bins.counts));
  layers.forEach((layer, index) => {
    const peak = together ? peaks[0]! : peaks[index]!;
    const { counts } = layer.bins;
    const step = width / counts.length;
    if (layer.outline === true) {
      context.beginPath();
      context.moveTo(0, height);
      counts.forEach((count, bin) => {
        const y = height - (count / peak) * (height - 2);
        context.lineTo(bin * step, y);
        context.lineTo((bin + 1) * step, y);
      });
      context.lineTo(width, height);
      context.lineWidth = 1.5;
      context.strokeStyle = layer.colour as string;
      context.stroke();
      return;
    }
    counts.forEach((count, bin) => {
      if (count === 0) return;
      const tall = Math.max(1, (count / peak) * (height - 2));
      context.fillStyle = typeof layer.colour === "string" ? layer.colour : layer.colour(bin);
      context.fillRect(bin * step, height - tall, Math.max(1, step - 0.5), tall);
    });
  });
}
