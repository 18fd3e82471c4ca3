// Lines and bands over a spectrum: Hα, Hβ, Li, C₂, and where the air absorbs.

import type uPlot from "uplot";
import type { Gapless } from "./gapless";
import type { Band, SpectralLine } from "./schema";

export interface Marked {
  axis: Gapless;
  lines: readonly SpectralLine[];
  bands: readonly Band[];
}

const FONT = (ratio: number): string => `${10.5 * ratio}px "Inter Variable", system-ui, sans-serif`;

/** Shade the bands; called before the curves are drawn. */
export function drawBands(plot: uPlot, { axis, bands }: Marked, colours: Record<string, string>): void {
  const { ctx, bbox } = plot;
  ctx.save();
  clip(plot);
  for (const band of bands) {
    for (const arm of axis.stretches) {
      const low = Math.max(band.low, arm.low);
      const high = Math.min(band.high, arm.high);
      if (high <= low) continue;
      const x0 = plot.valToPos(low - arm.low + arm.from, "x", true);
      const x1 = plot.valToPos(high - arm.low + arm.from, "x", true);
      ctx.fillStyle = colours.muted!;
      ctx.globalAlpha = 0.13;
      ctx.fillRect(x0, bbox.top, Math.max(1, x1 - x0), bbox.height);
    }
  }
  ctx.restore();
}

/** Mark the lines, name the bands and the arms; called after the curves. */
export function drawLines(
  plot: uPlot,
  { axis, lines, bands }: Marked,
  colours: Record<string, string>,
  named: boolean,
): void {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio || 1;
  ctx.save();
  clip(plot);
  ctx.font = FONT(ratio);
  ctx.fillStyle = colours.muted!;
  ctx.textBaseline = "top";
  drawArms(plot, axis, colours, ratio);
  if (named) {
    const taken: { line: number; from: number; to: number }[] = [];
    ctx.textAlign = "left";
    ctx.strokeStyle = colours.muted!;
    const place = (x: number, text: string, line: number): void => {
      if (x < bbox.left || x > bbox.left + bbox.width) return;
      const wide = ctx.measureText(text).width;
      const box = { line, from: x, to: x + wide + 6 * ratio };
      if (taken.some((other) => other.line === line && other.from < box.to && box.from < other.to)) return;
      taken.push(box);
      ctx.fillText(text, x + 3 * ratio, bbox.top + (3 + 13 * line) * ratio);
    };
    ctx.setLineDash([2 * ratio, 3 * ratio]);
    for (const line of lines) {
      const at = axis.toAxis(line.wavelength);
      if (at === null) continue;
      const x = Math.round(plot.valToPos(at, "x", true)) + 0.5;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      place(x, line.name, 0);
    }
    for (const band of bands) {
      for (const arm of axis.stretches) {
        if (Math.min(band.high, arm.high) <= Math.max(band.low, arm.low)) continue;
        const from = plot.valToPos(Math.max(band.low, arm.low) - arm.low + arm.from, "x", true);
        place(Math.max(from, bbox.left), band.name, 1);
      }
    }
  }
  ctx.restore();
}

function drawArms(plot: uPlot, axis: Gapless, colours: Record<string, string>, ratio: number): void {
  const { ctx, bbox } = plot;
  axis.stretches.forEach((arm, i) => {
    if (axis.stretches.length < 2) return;
    const x0 = plot.valToPos(arm.from, "x", true);
    const x1 = plot.valToPos(arm.to, "x", true);
    if (i > 0) {
      const before = plot.valToPos(axis.stretches[i - 1]!.to, "x", true);
      ctx.fillStyle = colours.panel!;
      ctx.fillRect(before, bbox.top - 2, x0 - before, bbox.height + 4);
    }
    ctx.fillStyle = colours.muted!;
    ctx.textAlign = "right";
    const right = Math.min(x1, bbox.left + bbox.width);
    if (right - Math.max(x0, bbox.left) > 50 * ratio) {
      ctx.fillText(arm.name, right - 5 * ratio, bbox.top + bbox.height - 15 * ratio);
    }
  });
}

function clip(plot: uPlot): void {
  const { ctx, bbox } = plot;
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
}
