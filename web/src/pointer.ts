// Mouse, touch and wheel on a plane, by the tool in hand.

import type { Plane } from "./plane";
import type { Mode } from "./selection";

const CLICK = 4; // pixels that a hand trembles

type Gesture = "pan" | "lasso" | "rectangle" | "click";

export class Pointer {
  readonly #down = new Map<number, [number, number]>();
  #gesture: Gesture | null = null;
  #start: [number, number] = [0, 0];
  #path: [number, number][] = [];
  #far = false;
  #hovering = 0;

  constructor(
    readonly plane: Plane,
    readonly canvas: HTMLCanvasElement,
  ) {
    canvas.addEventListener("pointerdown", (event) => this.#press(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#release(event));
    canvas.addEventListener("pointercancel", (event) => this.#cancel(event));
    canvas.addEventListener("pointerleave", () => this.plane.leave());
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener("dblclick", (event) => {
      this.plane.camera.zoom(2, event.offsetX, event.offsetY);
      this.plane.moved();
    });
    canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  #press(event: PointerEvent): void {
    this.canvas.setPointerCapture(event.pointerId);
    const at: [number, number] = [event.offsetX, event.offsetY];
    this.#down.set(event.pointerId, at);
    this.plane.held = true;
    if (this.#down.size === 2) {
      this.#gesture = "pan"; // two fingers pinch and move, whatever the tool
      this.plane.setPath([]);
      return;
    }
    this.#start = at;
    this.#far = false;
    this.#path = [at];
    this.#gesture = this.#choose(event);
  }

  #choose(event: PointerEvent): Gesture {
    const tool = this.plane.app.tool.value;
    if (event.button !== 0) return "pan";
    if (tool === "lasso" || tool === "rectangle") return tool;
    if (tool === "hexagon") return "click";
    return event.shiftKey ? "lasso" : "pan";
  }

  #move(event: PointerEvent): void {
    const at: [number, number] = [event.offsetX, event.offsetY];
    const before = this.#down.get(event.pointerId);
    if (before === undefined) {
      this.#hover(at);
      return;
    }
    this.#down.set(event.pointerId, at);
    if (this.#down.size === 2) return this.#pinch(event.pointerId, before, at);
    if (Math.hypot(at[0] - this.#start[0], at[1] - this.#start[1]) > CLICK) this.#far = true;
    if (!this.#far) return;
    if (this.#gesture === "pan") {
      this.plane.camera.pan(at[0] - before[0], at[1] - before[1]);
      this.plane.leave();
      this.plane.moved();
    } else if (this.#gesture === "lasso") {
      this.#path.push(at);
      this.plane.setPath(this.#path);
    } else if (this.#gesture === "rectangle") {
      const [[x0, y0], [x1, y1]] = [this.#start, at];
      this.plane.setPath([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]);
    } else if (this.#gesture === "click") {
      this.plane.hover(...at);
    }
  }

  #hover(at: [number, number]): void {
    cancelAnimationFrame(this.#hovering);
    this.#hovering = requestAnimationFrame(() => this.plane.hover(...at));
  }

  #pinch(id: number, before: [number, number], at: [number, number]): void {
    const other = [...this.#down].find(([key]) => key !== id)![1];
    const was = Math.hypot(before[0] - other[0], before[1] - other[1]);
    const is = Math.hypot(at[0] - other[0], at[1] - other[1]);
    this.plane.camera.pan((at[0] - before[0]) / 2, (at[1] - before[1]) / 2);
    if (was > 0) this.plane.camera.zoom(is / was, (at[0] + other[0]) / 2, (at[1] + other[1]) / 2);
    this.#far = true;
    this.plane.moved();
  }

  #release(event: PointerEvent): void {
    if (!this.#down.delete(event.pointerId) || this.#down.size > 0) return;
    this.plane.release();
    const gesture = this.#gesture;
    this.#gesture = null;
    const mode = modeOf(event, gesture !== "lasso" || this.plane.app.tool.value === "lasso");
    if (this.#far && (gesture === "lasso" || gesture === "rectangle")) {
      this.plane.finishPath(mode, gesture === "lasso" ? "Lasso" : "Rectangle");
    } else if (!this.#far || gesture === "click") {
      this.plane.setPath([]);
      if (event.button === 0) this.plane.click(event.offsetX, event.offsetY, mode);
    }
  }

  #cancel(event: PointerEvent): void {
    this.#down.delete(event.pointerId);
    this.plane.release();
    this.#gesture = null;
    this.plane.setPath([]);
  }

  #wheel(event: WheelEvent): void {
    event.preventDefault();
    const step = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    const factor = Math.exp(-0.0016 * step * event.deltaY * (event.ctrlKey ? 4 : 1));
    this.plane.camera.zoom(factor, event.offsetX, event.offsetY);
    this.plane.moved();
  }

  #key(event: KeyboardEvent): void {
    const { camera } = this.plane;
    const far = event.shiftKey ? 200 : 50;
    const moves: Record<string, () => void> = {
      ArrowLeft: () => camera.pan(far, 0),
      ArrowRight: () => camera.pan(-far, 0),
      ArrowUp: () => camera.pan(0, far),
      ArrowDown: () => camera.pan(0, -far),
      "+": () => camera.zoom(1.4),
      "=": () => camera.zoom(1.4),
      "-": () => camera.zoom(1 / 1.4),
      Enter: () => this.plane.click(camera.width / 2, camera.height / 2, "replace"),
    };
    const move = moves[event.key];
    if (move === undefined || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    move();
    this.plane.moved();
  }
}

/** Shift adds and Alt takes away; with the pan tool Shift only draws the lasso. */
function modeOf(event: PointerEvent, shiftAdds: boolean): Mode {
  if (event.altKey) return "subtract";
  return event.shiftKey && shiftAdds ? "add" : "replace";
}
