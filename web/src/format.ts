// Numbers as people read them.

const THOUSANDS = new Intl.NumberFormat("en-GB");

export const count = (n: number): string => THOUSANDS.format(n);

export const plural = (n: number, one: string, many = `${one}s`): string =>
  `${count(n)} ${n === 1 ? one : many}`;

/** Four or five significant digits, and a real minus sign. */
export function number(value: number | null | undefined, digits = 5): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  let text: string;
  if (Number.isInteger(value) && size < 1e15) text = size >= 1e5 ? count(value) : String(value);
  else if (size !== 0 && (size < 1e-3 || size >= 1e7)) text = value.toExponential(3);
  else text = String(Number(value.toPrecision(digits)));
  return text.replace(/-/g, "−");
}

/** As many decimals as a step needs. */
export function tick(value: number, step: number): string {
  const decimals = Math.max(0, Math.min(8, -Math.floor(Math.log10(step) + 1e-9)));
  const text = Math.abs(value) < step / 1e6 ? "0" : value.toFixed(decimals);
  return text.replace("-", "−");
}

/** Even, round steps over a range, about `wanted` of them. */
export function ticks(low: number, high: number, wanted: number): { at: number[]; step: number } {
  const span = high - low;
  if (!(span > 0) || !Number.isFinite(span)) return { at: [], step: 1 };
  const raw = span / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 2.5, 5, 10].find((m) => m * power >= raw) ?? 10);
  const at: number[] = [];
  for (let t = Math.ceil(low / step); t * step <= high + step * 1e-9; t++) at.push(t * step);
  return { at, step };
}

export function when(time: string | number): string {
  const date = new Date(typeof time === "number" && time < 1e12 ? time * 1000 : time);
  if (Number.isNaN(date.getTime())) return String(time);
  return date.toLocaleString("en-GB", {
    day: "2-digit",
    month: "short",
    hour: "2-digit",
    minute: "2-digit",
  });
}
