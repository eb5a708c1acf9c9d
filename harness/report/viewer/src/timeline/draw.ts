// Draws what is in sight of a timeline on a canvas. Only that is looked at: the whole may have any length.
import { blame, expected } from "./blame";
import { type View } from "./camera";
import { type Geometry, duration } from "./geometry";
import { type Model, type Op, lowerBound } from "./model";
import { type Colors, type Scene, doors, shape } from "./scene";

/** Draw everything in sight; `chosen` is the callback that is looked at, -1 for none, `hovered` the one under the pointer. */
export function draw(
  context: CanvasRenderingContext2D,
  model: Model,
  view: View,
  at: Geometry,
  colors: Colors,
  chosen: number,
  hovered: number,
  focused: boolean,
): void {
  const values = view.scale === "order" ? model.position : model.time;
  const x = (place: number) => (values[place] - view.left) * view.zoom;
  const margin = 80 / view.zoom;
  const from = Math.max(0, lowerBound(values, view.left - margin) - 1);
  const to = Math.min(model.length, lowerBound(values, view.left + at.width / view.zoom + margin) + 1);
  const column = view.scale === "order" ? view.zoom : 18;
  const room = to > from ? (x(to - 1) - x(from)) / (to - from) : 0;
  const scene: Scene = { context, model, view, at, colors, x, column, room, chosen };
  context.clearRect(0, 0, at.width, at.height);
  context.lineCap = "round";
  context.lineJoin = "round";
  context.font = "12px system-ui, sans-serif";
  context.textBaseline = "middle";
  lanes(scene);
  levels(scene, from, to);
  axis(scene);
  const chosenOp = chosen >= 0 ? model.op[chosen] : -1;
  const ops = to > from ? [...model.under(from, to - 1)] : [];
  const detailed = to - from <= 3000 && room >= 2.5;
  bars(scene, ops, chosenOp);
  held(scene, chosenOp);
  if (detailed) {
    for (const op of ops) if (model.ops[chosenOp] !== op) path(scene, op, chosenOp >= 0 ? 0.45 : 1);
    if (chosenOp >= 0 && ops.includes(model.ops[chosenOp])) path(scene, model.ops[chosenOp], 1);
    expected(scene, from, to);
    for (let n = from; n < to; n++) marker(scene, n, chosenOp >= 0 && model.op[n] !== chosenOp ? 0.55 : 1, room);
  } else {
    ticks(scene, from, to);
  }
  printed(scene);
  blame(scene);
  ring(scene, hovered, colors.quiet, false);
  ring(scene, chosen, colors.accent, focused);
}

function lanes({ context, at, colors }: Scene) {
  at.lanes.forEach((middle, lane) => {
    if (lane % 2 === 0) {
      context.fillStyle = colors.band;
      context.fillRect(0, middle - at.laneHeight / 2, at.width, at.laneHeight);
    }
    context.strokeStyle = colors.line;
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(0, Math.round(middle) + 0.5);
    context.lineTo(at.width, Math.round(middle) + 0.5);
    context.stroke();
  });
  context.strokeStyle = colors.quiet;
  context.lineWidth = 1;
  for (const y of [at.door, at.fileSystem]) {
    context.beginPath();
    context.moveTo(0, Math.round(y) + 0.5);
    context.lineTo(at.width, Math.round(y) + 0.5);
    context.stroke();
  }
}

/** The band of IRQLs: a step for each callback, and the picture tinted where it is above PASSIVE_LEVEL. */
function levels({ context, model, at, colors, x, room }: Scene, from: number, to: number) {
  const y = (level: number) => at.irql + at.irqlHeight - 5 - Math.min(level, 2) * 13;
  context.strokeStyle = colors.line;
  context.lineWidth = 1;
  for (const level of [0, 1, 2]) {
    context.beginPath();
    context.moveTo(0, Math.round(y(level)) + 0.5);
    context.lineTo(at.width, Math.round(y(level)) + 0.5);
    context.stroke();
  }
  const drawn = [-9, -9, -9];
  for (let n = from; n < to; n++) {
    const level = Math.min(2, model.level[n]);
    const here = x(n);
    // In a crowd one bar a pixel and level is enough.
    if (here - drawn[level] < 0.7) continue;
    drawn[level] = here;
    const width = Math.max(1.5, Math.min(10, (n + 1 < model.length ? x(n + 1) - here : room) - 2));
    context.fillStyle = level >= 2 ? colors.dispatch : level === 1 ? colors.apc : colors.quiet;
    context.fillRect(here - width / 2, y(level) - 2, width, 4 + Math.min(level, 2) * 13);
    if (level && width >= 4) {
      context.globalAlpha = 0.12;
      context.fillRect(here - width / 2 - 3, at.door, width + 6, at.fileSystem - at.door);
      context.globalAlpha = 1;
    }
  }
}

function axis({ context, model, view, at, colors, x }: Scene) {
  context.fillStyle = colors.quiet;
  context.strokeStyle = colors.line;
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "left";
  const mark = (here: number, words: string) => {
    context.beginPath();
    context.moveTo(Math.round(here) + 0.5, at.axis - 4);
    context.lineTo(Math.round(here) + 0.5, at.axis);
    context.stroke();
    context.fillText(words, here + 3, at.axis / 2);
  };
  if (view.scale === "time") {
    const step = nice(90 / view.zoom);
    for (let value = Math.ceil(view.left / step) * step; value < view.left + at.width / view.zoom; value += step) {
      mark((value - view.left) * view.zoom, duration(value));
    }
  } else {
    // The time is told at callbacks that are far enough from one another.
    const from = lowerBound(model.position, view.left);
    let next = -1;
    const stride = Math.max(1, Math.floor(80 / view.zoom));
    for (let n = from - (from % stride); n < model.length; n += stride) {
      if (n < 0) continue;
      const here = x(n);
      if (here > at.width) break;
      if (here < next) continue;
      mark(here, duration(model.time[n]));
      next = here + 76;
    }
  }
  context.font = "12px system-ui, sans-serif";
}

function nice(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  return [1, 2, 5, 10].map((factor) => factor * power).find((value) => value >= step) ?? step;
}

/** The operations as bars in the requester's lane. */
function bars(scene: Scene, ops: Op[], chosenOp: number) {
  const { context, model, at, colors } = scene;
  let until = [-1, -1, -1];
  context.textAlign = "left";
  for (const op of ops) {
    const [left, right] = doors(scene, op);
    const width = Math.max(1.5, right - left);
    if (width < 3 && left < until[op.row] + 1) continue;
    until[op.row] = left + width;
    const top = at.requester + op.row * at.rowHeight;
    const mine = model.ops[chosenOp] === op;
    context.globalAlpha = chosenOp >= 0 && !mine ? 0.6 : 1;
    context.fillStyle = op.own ? colors.soft : colors.band;
    context.strokeStyle = mine ? colors.accent : colors.line;
    context.lineWidth = mine ? 2 : 1;
    context.beginPath();
    context.roundRect(left + 1, top, width - 2 > 1 ? width - 2 : 1, at.rowHeight - 4, 4);
    context.fill();
    if (width > 6) context.stroke();
    const start = Math.max(left, 0) + 6;
    if (right - start > 34) {
      context.save();
      context.beginPath();
      context.rect(start - 2, top, right - start - 3, at.rowHeight);
      context.clip();
      context.fillStyle = colors.text;
      context.fillText(op.note ? `${op.name} (${op.note})` : op.name, start, top + (at.rowHeight - 4) / 2 + 0.5);
      context.restore();
    }
    context.globalAlpha = 1;
  }
}

/** The time for which a filter held an operation. */
function held(scene: Scene, chosenOp: number) {
  const { context, model, at, colors, x } = scene;
  for (const item of model.pended) {
    const left = x(item.begin);
    const right = item.end >= model.length ? Math.max(left + 30, x(model.length - 1) + 12) : x(item.end);
    if (right < 0 || left > at.width) continue;
    const y = at.lanes[item.lane];
    context.globalAlpha = chosenOp >= 0 && item.op !== chosenOp ? 0.35 : 0.9;
    context.fillStyle = thread(scene, item.begin);
    context.save();
    context.beginPath();
    context.roundRect(left, y - 5, Math.max(2, right - left), 10, 5);
    context.globalAlpha *= 0.3;
    context.fill();
    context.restore();
    context.strokeStyle = item.end >= model.length ? colors.bad : thread(scene, item.begin);
    context.lineWidth = 1.5;
    if (item.end >= model.length) context.setLineDash([4, 3]);
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 1;
  }
}

function thread({ model, colors }: Scene, place: number): string {
  return colors.threads[model.color[place] % colors.threads.length];
}

/** The way of an operation: from the requester down through the filters to the file system, and up again. */
function path(scene: Scene, op: Op, strength: number) {
  const { context, model, at, x } = scene;
  const [left, right] = doors(scene, op);
  let [fromX, fromY] = [left, at.door];
  let turn = 1;
  let before = -1;
  context.globalAlpha = strength;
  context.lineWidth = strength === 1 ? 1.8 : 1.4;
  const to = (nextX: number, nextY: number, color: string, dashed = false) => {
    arrow(context, fromX, fromY, nextX, nextY, color, dashed);
    [fromX, fromY] = [nextX, nextY];
  };
  for (const place of op.events) {
    const step = model.text("step", place);
    if (!step) continue;
    const color = thread(scene, place);
    const up = step.includes("post");
    // Nobody records it, but between the last filter on the way down and the first on the way up is the file system.
    if (up && turn === 1 && before >= 0) to((x(before) + x(place)) / 2, at.fileSystem, thread(scene, before));
    const resumes = step.startsWith("resume") || step === "cancel";
    to(x(place), at.lanes[model.lane[place]], color, resumes && turn === 3);
    turn = model.value("turns", place);
    if (up) turn = 0;
    before = place;
  }
  if (before < 0) return void (context.globalAlpha = 1);
  const color = thread(scene, before);
  if (turn === 1) to((fromX + right) / 2, at.fileSystem, color);
  if (turn !== 3) to(right, at.door, color);
  context.globalAlpha = 1;
}

function arrow(context: CanvasRenderingContext2D, x0: number, y0: number, x1: number, y1: number, color: string, dashed: boolean) {
  context.strokeStyle = color;
  context.fillStyle = color;
  if (dashed) context.setLineDash([3, 4]);
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
  if (dashed) context.setLineDash([]);
  const length = Math.hypot(x1 - x0, y1 - y0);
  if (length < 16 || y0 === y1) return;
  const angle = Math.atan2(y1 - y0, x1 - x0);
  const [mx, my] = [(x0 + x1) / 2, (y0 + y1) / 2];
  context.save();
  context.translate(mx, my);
  context.rotate(angle);
  context.beginPath();
  context.moveTo(5, 0);
  context.lineTo(-3, -3.5);
  context.lineTo(-3, 3.5);
  context.fill();
  context.restore();
}

function marker(scene: Scene, place: number, strength: number, room: number) {
  const { context, model, at, colors, x } = scene;
  const size = Math.max(2.5, Math.min(6.5, room * 0.32));
  const step = model.text("step", place);
  const color = thread(scene, place);
  const turns = model.value("turns", place);
  context.globalAlpha = strength;
  context.fillStyle = color;
  context.strokeStyle = colors.background;
  context.lineWidth = 1;
  shape(context, step, x(place), at.lanes[model.lane[place]], size);
  context.fill();
  if (size > 4) context.stroke();
  // An operation that goes no further down here stands on a bar.
  if (turns === 2 && size > 3) {
    context.fillStyle = color;
    context.fillRect(x(place) - size - 2, at.lanes[model.lane[place]] + size + 2, 2 * size + 4, 2.5);
  }
  context.globalAlpha = 1;
}

/** A crowd: one tick for each pixel of a lane in which there is something. */
function ticks(scene: Scene, from: number, to: number) {
  const { context, model, at, x } = scene;
  const seen = new Uint8Array(at.lanes.length * (at.width + 2));
  for (let n = from; n < to; n++) {
    const here = Math.round(x(n));
    if (here < 0 || here > at.width) continue;
    const key = model.lane[n] * (at.width + 2) + here;
    if (seen[key]) continue;
    seen[key] = 1;
    context.fillStyle = thread(scene, n);
    context.fillRect(here, Math.round(at.lanes[model.lane[n]]) - 9, 1, 18);
  }
}

function printed({ context, model, view, at, colors }: Scene) {
  if (!at.prints) return;
  context.textAlign = "left";
  let until = -9;
  for (const item of model.prints) {
    const here = ((view.scale === "order" ? item.position : item.time) - view.left) * view.zoom;
    if (here < -200 || here > at.width || here < until) continue;
    context.fillStyle = colors.quiet;
    context.fillRect(here - 1, at.prints - 7, 2, 14);
    context.fillText(item.text.slice(0, 60), here + 4, at.prints);
    until = here + 8 + context.measureText(item.text.slice(0, 60)).width;
  }
}

function ring({ context, model, at, x }: Scene, place: number, color: string, focused: boolean) {
  if (place < 0 || place >= model.length) return;
  context.strokeStyle = color;
  context.lineWidth = focused ? 3 : 2;
  context.beginPath();
  context.arc(x(place), at.lanes[model.lane[place]], focused ? 15 : 14, 0, 2 * Math.PI);
  context.stroke();
}
