// What the parts of the drawing share.
import type { View } from "./camera";
import type { Geometry } from "./geometry";
import type { Model, Op } from "./model";

export interface Colors {
  text: string;
  quiet: string;
  line: string;
  band: string;
  background: string;
  soft: string;
  bad: string;
  must: string;
  accent: string;
  apc: string;
  dispatch: string;
  threads: string[];
}

export interface Scene {
  context: CanvasRenderingContext2D;
  model: Model;
  view: View;
  at: Geometry;
  colors: Colors;
  x: (place: number) => number;
  /** The width of a column, and the room that a callback in sight has on the average. */
  column: number;
  room: number;
  chosen: number;
}

/** Where an operation enters and leaves the picture. */
export function doors({ view, x, column, room }: Scene, op: Op): [number, number] {
  const side = view.scale === "order" ? column * 0.6 : Math.min(8, room * 2);
  return [x(op.first) - side, x(op.last) + side];
}

/** The mark of a callback: a triangle down for pre, up for post, to the right where an operation is let go. */
export function shape(context: CanvasRenderingContext2D, step: string, x: number, y: number, size: number) {
  context.beginPath();
  if (step === "pre") {
    context.moveTo(x - size, y - size * 0.8);
    context.lineTo(x + size, y - size * 0.8);
    context.lineTo(x, y + size);
    context.closePath();
  } else if (step === "post" || step === "safe-post") {
    context.moveTo(x - size, y + size * 0.8);
    context.lineTo(x + size, y + size * 0.8);
    context.lineTo(x, y - size);
    context.closePath();
  } else if (step === "resume" || step === "resume-post") {
    context.moveTo(x - size * 0.8, y - size);
    context.lineTo(x + size, y);
    context.lineTo(x - size * 0.8, y + size);
    context.closePath();
  } else if (step === "cancel") {
    context.rect(x - size * 0.8, y - size * 0.8, size * 1.6, size * 1.6);
  } else {
    context.arc(x, y, size * 0.6, 0, 2 * Math.PI);
  }
}
