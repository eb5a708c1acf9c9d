// The timeline by mouse and by touch.
import { useRef } from "preact/hooks";
import { type View, bounded, zoomed } from "./camera";
import type { Geometry } from "./geometry";
import { type Model, lowerBound } from "./model";

interface PointerProps {
  model: Model;
  view: View | null;
  setView: (view: View) => void;
  at: Geometry;
  width: number;
  choose: (place: number) => void;
  hover: (place: number) => void;
}

/** Drag to pan, two fingers to zoom, tap or click to choose. */
export function usePointer({ model, view, setView, at, width, choose, hover }: PointerProps) {
  const down = useRef(new Map<number, { x: number; y: number }>());
  const moved = useRef(false);
  const latest = useRef(view);
  latest.current = view;
  const local = (event: PointerEvent) => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  return {
    onPointerDown: (event: PointerEvent) => {
      down.current.set(event.pointerId, local(event));
      moved.current = false;
      if (event.pointerType === "mouse") (event.currentTarget as Element).setPointerCapture(event.pointerId);
    },
    onPointerMove: (event: PointerEvent) => {
      const now = local(event);
      const before = down.current.get(event.pointerId);
      const current = latest.current;
      if (!current) return;
      if (!before) {
        hover(nearest(model, current, at, now.x, now.y, 16));
        return;
      }
      const others = [...down.current].filter(([id]) => id !== event.pointerId);
      if (others.length) {
        const other = others[0][1];
        const [was, is] = [Math.abs(before.x - other.x), Math.abs(now.x - other.x)];
        if (was > 10) setView(zoomed(model, current, is / was, (now.x + other.x) / 2, width));
        moved.current = true;
        down.current.set(event.pointerId, now);
      } else if (moved.current || Math.abs(now.x - before.x) > 4) {
        moved.current = true;
        setView(bounded(model, { ...current, left: current.left - (now.x - before.x) / current.zoom }, width));
        down.current.set(event.pointerId, now);
      }
    },
    onPointerUp: (event: PointerEvent) => {
      down.current.delete(event.pointerId);
      if (moved.current || !latest.current) return;
      const now = local(event);
      const place = nearest(model, latest.current, at, now.x, now.y, 28);
      if (place >= 0) choose(place);
    },
    onPointerCancel: (event: PointerEvent) => void down.current.delete(event.pointerId),
    onPointerLeave: () => hover(-1),
  };
}

/** The callback next to a point, -1 if none is near; in the lane of operations the first callback of the one there. */
function nearest(model: Model, view: View, at: Geometry, x: number, y: number, reach: number): number {
  const values = view.scale === "order" ? model.position : model.time;
  if (y < at.door && y >= at.requester) {
    const row = Math.floor((y - at.requester) / at.rowHeight);
    const place = Math.min(model.length - 1, lowerBound(values, view.left + x / view.zoom));
    for (const op of model.under(Math.max(0, place - 1), place)) {
      const [left, right] = [op.first, op.last].map((n) => (values[n] - view.left) * view.zoom);
      if (op.row === row && x >= left - 20 && x <= right + 20) return op.first;
    }
    return -1;
  }
  const from = lowerBound(values, view.left + (x - reach) / view.zoom);
  const to = lowerBound(values, view.left + (x + reach) / view.zoom);
  let [found, best] = [-1, reach * reach];
  for (let n = from; n < Math.min(to, from + 5000); n++) {
    const [dx, dy] = [(values[n] - view.left) * view.zoom - x, at.lanes[model.lane[n]] - y];
    const distance = dx * dx + dy * dy;
    if (distance <= best) [found, best] = [n, distance];
  }
  return found;
}
