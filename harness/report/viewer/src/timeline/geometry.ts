// Where on the canvas what lies: the lanes from the requester to the file system, and the bands below.
import type { Model } from "./model";

const LEVELS = ["PASSIVE", "APC", "DISPATCH"];

export interface Geometry {
  width: number;
  height: number;
  axis: number;
  /** The requester's lane: its top, its rows and where operations enter and leave it. */
  requester: number;
  rowHeight: number;
  door: number;
  /** The middle of each filter's lane, and of the file system's. */
  lanes: number[];
  laneHeight: number;
  fileSystem: number;
  prints: number;
  irql: number;
  irqlHeight: number;
}

export function layOut(model: Model, width: number, compact: boolean): Geometry {
  const rowHeight = 20;
  const laneHeight = compact ? 44 : 54;
  const axis = 20;
  const requester = axis + 6;
  const door = requester + model.rows * rowHeight + 6;
  let at = door + 8;
  const lanes = model.picture.lanes.map(() => {
    const middle = at + laneHeight / 2;
    at += laneHeight;
    return middle;
  });
  const fileSystem = at + 18;
  at += 36;
  const prints = model.prints.length ? at + 12 : 0;
  if (prints) at += 24;
  const irqlHeight = 38;
  const irql = at + 6;
  return { width, height: irql + irqlHeight + 6, axis, requester, rowHeight, door, lanes, laneHeight, fileSystem, prints, irql, irqlHeight };
}

export function levelLabels(at: Geometry): [number, string][] {
  return LEVELS.map((word, level) => [at.irql + at.irqlHeight - 5 - level * 13, word]);
}

export function duration(microseconds: number): string {
  const size = Math.abs(microseconds);
  if (size >= 1e6) return `${(microseconds / 1e6).toFixed(3)} s`;
  if (size >= 1e4) return `${(microseconds / 1e3).toFixed(2)} ms`;
  return `${Number(microseconds.toFixed(1))} µs`;
}
