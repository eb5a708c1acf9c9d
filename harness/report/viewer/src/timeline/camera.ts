// What of the timeline is in sight: where the picture begins, and how big it is.
import type { Model } from "./model";

export interface View {
  /** Whether a place on the picture is a callback's turn or its time. */
  scale: "order" | "time";
  /** What is at the left edge, in columns or microseconds, and how many pixels one of them takes. */
  left: number;
  zoom: number;
}

/** Where a callback stands in the unit of the view. */
export function unit(model: Model, view: View, place: number): number {
  return view.scale === "order" ? model.position[place] : model.time[place];
}

export function extent(model: Model, view: View): [number, number] {
  if (view.scale === "order") return [0, model.end];
  if (!model.length) return [0, 1];
  const [first, last] = [model.time[0], model.time[model.length - 1]];
  const margin = Math.max(1, (last - first) * 0.03);
  return [first - margin, last + margin];
}

export function begin(model: Model, width: number, chosen: number): View {
  const all = whole(model, "order", width);
  const least = 22;
  if (all.zoom >= least) return all;
  const middle = chosen >= 0 ? model.position[chosen] : width / 2 / 28;
  return bounded(model, { scale: "order", zoom: 28, left: middle - width / 2 / 28 }, width);
}

export function whole(model: Model, scale: View["scale"], width: number): View {
  const view = { scale, left: 0, zoom: 1 };
  const [first, last] = extent(model, view);
  const most = scale === "order" ? 84 : 1e4;
  return { scale, left: first, zoom: Math.min(most, width / (last - first)) };
}

export function zoomed(model: Model, view: View, factor: number, around: number, width: number): View {
  const [first, last] = extent(model, view);
  const least = Math.min(width / (last - first), view.scale === "order" ? 84 : 1e4);
  const most = view.scale === "order" ? 120 : 400;
  const zoom = Math.max(least, Math.min(most, view.zoom * factor));
  const held = view.left + around / view.zoom;
  return bounded(model, { ...view, zoom, left: held - around / zoom }, width);
}

/** The view, not beyond the ends of the picture. */
export function bounded(model: Model, view: View, width: number): View {
  const [first, last] = extent(model, view);
  const span = width / view.zoom;
  const left = span >= last - first ? first : Math.max(first, Math.min(last - span, view.left));
  return { ...view, left };
}
