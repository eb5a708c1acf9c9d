// What is wrong, drawn over the picture: the callback that is to blame, and the path that must have come.
import { type Scene, doors, shape } from "./scene";

/** The path that a test asserts, from where the operation leaves it: hollow marks joined by a dashed line. */
export function expected(scene: Scene, from: number, to: number) {
  const { context, model, at, colors, x, column } = scene;
  for (const mark of model.marks) {
    const op = model.ops[mark.op];
    if (!op || !mark.must.length || op.last < from || op.first > to) continue;
    const steps = op.events.filter((place) => model.text("step", place));
    let alike = 0;
    while (alike < mark.must.length && mark.must[alike] === mark.came[alike]) alike++;
    const lastX = steps.length ? x(steps[steps.length - 1]) : x(op.first);
    const placeOf = (n: number) => (n < steps.length ? x(steps[n]) : lastX + (n - steps.length + 1) * Math.max(14, column));
    const lane = (name: string) => at.lanes[model.picture.lanes.findIndex((item) => item.label === name.slice(0, name.lastIndexOf(".")))];
    let [fromX, fromY] = alike ? [placeOf(alike - 1), lane(mark.must[alike - 1])] : [doors(scene, op)[0], at.door];
    let wasUp = alike > 0 && mark.must[alike - 1].includes("post");
    context.strokeStyle = colors.must;
    context.fillStyle = colors.must;
    context.lineWidth = 1.8;
    const line = (nextX: number, nextY: number) => {
      context.setLineDash([5, 4]);
      context.beginPath();
      context.moveTo(fromX, fromY);
      context.lineTo(nextX, nextY);
      context.stroke();
      context.setLineDash([]);
      [fromX, fromY] = [nextX, nextY];
    };
    for (let n = alike; n < mark.must.length; n++) {
      const y = lane(mark.must[n]);
      if (y === undefined) continue;
      // Beside what came, where both stand in one lane.
      const shift = n < steps.length && at.lanes[model.lane[steps[n]]] === y ? 7 : 0;
      const here = placeOf(n) + shift;
      const up = mark.must[n].includes("post");
      if (up && !wasUp && n > 0 && turnsBelow(mark.must, n)) line((fromX + here) / 2, at.fileSystem);
      line(here, y);
      wasUp = up;
      context.lineWidth = 2;
      context.save();
      context.fillStyle = colors.background;
      shape(context, mark.must[n].slice(mark.must[n].lastIndexOf(".") + 1), here, y, 6.5);
      context.fill();
      context.stroke();
      context.restore();
      if (n === alike) label(context, "must come", here, y - 16, colors.must, colors.background);
    }
  }
}

/** Whether a path reaches the file system before its step `n`: the filter that turns it upwards has a post of its own. */
function turnsBelow(must: string[], n: number): boolean {
  const filter = (step: string) => step.slice(0, step.lastIndexOf("."));
  return filter(must[n - 1]) === filter(must[n]);
}

function label(context: CanvasRenderingContext2D, words: string, x: number, y: number, color: string, background: string) {
  context.font = "600 11px system-ui, sans-serif";
  context.textAlign = "center";
  const width = context.measureText(words).width + 8;
  context.fillStyle = background;
  context.globalAlpha = 0.9;
  context.fillRect(x - width / 2, y - 8, width, 15);
  context.globalAlpha = 1;
  context.fillStyle = color;
  context.fillText(words, x, y);
  context.font = "12px system-ui, sans-serif";
  context.textAlign = "left";
}

/** What is to blame: a line through the whole picture, and a ring. */
export function blame({ context, model, at, colors, x }: Scene) {
  for (const mark of model.marks) {
    const here = x(mark.event);
    if (here < -20 || here > at.width + 20) continue;
    const y = at.lanes[model.lane[mark.event]];
    context.strokeStyle = colors.bad;
    context.lineWidth = 1.2;
    context.setLineDash([2, 4]);
    context.beginPath();
    context.moveTo(here, at.door);
    context.lineTo(here, at.irql + at.irqlHeight);
    context.stroke();
    context.setLineDash([]);
    context.lineWidth = 2.5;
    context.beginPath();
    context.arc(here, y, 11, 0, 2 * Math.PI);
    context.stroke();
    label(context, mark.must.length ? "came" : mark.verdict, here, y + 21, colors.bad, colors.background);
  }
}
