// Axes, and the grid of the sky, drawn on a canvas over the points.

import type { Camera } from "./camera";
import { tick, ticks } from "./format";

export interface Ink2d {
  text: string;
  muted: string;
  line: string;
  paper: string;
  accent: string;
}

export const MARGIN = { left: 54, right: 10, top: 8, bottom: 38 } as const;
const FONT = '11px "Inter Variable", system-ui, sans-serif';

/** Ticks and titles outside the plotting area, whose size the camera holds. */
export function drawAxes(
  context: CanvasRenderingContext2D,
  camera: Camera,
  titles: { x: string; y: string },
  ink: Ink2d,
): void {
  const { left, top } = MARGIN;
  const { width, height } = camera;
  context.font = FONT;
  context.strokeStyle = ink.line;
  context.fillStyle = ink.muted;
  context.lineWidth = 1;
  context.strokeRect(left + 0.5, top + 0.5, width - 1, height - 1);
  const view = camera.view;
  const xs = ticks(view.left, view.right, width / 80);
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const x of xs.at) {
    const px = Math.round(left + camera.toScreen(x, 0)[0]) + 0.5;
    if (px < left || px > left + width) continue;
    stroke(context, px, top + height, px, top + height + 4);
    context.fillText(tick(x, xs.step), px, top + height + 6);
  }
  const ys = ticks(view.bottom, view.top, height / 50);
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const y of ys.at) {
    const py = Math.round(top + camera.toScreen(0, y)[1]) + 0.5;
    if (py < top || py > top + height) continue;
    stroke(context, left - 4, py, left, py);
    context.fillText(tick(y, ys.step), left - 7, py);
  }
  context.fillStyle = ink.text;
  context.textAlign = "center";
  context.textBaseline = "bottom";
  context.fillText(titles.x, left + width / 2, top + height + MARGIN.bottom - 2);
  context.save();
  context.translate(12, top + height / 2);
  context.rotate(-Math.PI / 2);
  context.textBaseline = "middle";
  context.fillText(titles.y, 0, 0);
  context.restore();
}

function stroke(context: CanvasRenderingContext2D, x0: number, y0: number, x1: number, y1: number) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

/** Hammer's equal-area projection; right ascension grows to the left, 0 h in the middle. */
export function hammer(ra: number, dec: number): [number, number] {
  const longitude = ((((ra + 180) % 360) + 360) % 360) - 180;
  const l = (longitude * Math.PI) / 180;
  const b = (dec * Math.PI) / 180;
  const z = Math.sqrt(1 + Math.cos(b) * Math.cos(l / 2));
  return [(-2 * Math.SQRT2 * Math.cos(b) * Math.sin(l / 2)) / z, (Math.SQRT2 * Math.sin(b)) / z];
}

export function drawSky(context: CanvasRenderingContext2D, camera: Camera, ink: Ink2d): void {
  context.strokeStyle = ink.line;
  context.fillStyle = ink.muted;
  context.lineWidth = 1;
  context.font = FONT;
  const path = (points: [number, number][]): void => {
    context.beginPath();
    for (const [ra, dec] of points) context.lineTo(...camera.toScreen(...hammer(ra, dec)));
    context.stroke();
  };
  const span = (from: number, to: number, step: number): number[] =>
    Array.from({ length: Math.round((to - from) / step) + 1 }, (_, k) => from + k * step);
  for (const dec of span(-60, 60, 30)) {
    path(span(-179.99, 179.99, 359.98 / 60).map((ra) => [ra, dec]));
  }
  for (const ra of [-179.99, -120, -60, 0, 60, 120, 179.99]) {
    path(span(-90, 90, 3).map((dec) => [ra, dec]));
  }
  const write = (text: string, x: number, y: number): void => {
    context.lineWidth = 3;
    context.strokeStyle = ink.paper;
    context.strokeText(text, x, y);
    context.fillText(text, x, y);
  };
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (const ra of [-120, -60, 0, 60, 120]) {
    const [x, y] = camera.toScreen(...hammer(ra, 0));
    write(`${(ra + 360) % 360}°`, x, y + 8);
  }
  for (const dec of [-60, -30, 30, 60]) {
    const [x, y] = camera.toScreen(...hammer(179.99, dec));
    context.textAlign = "right";
    write(`${dec > 0 ? "+" : "−"}${Math.abs(dec)}°`, x - 4, y);
  }
}
