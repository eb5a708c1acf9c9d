// One I/O script of a test as the timeline draws it: its callbacks in the order of time, put together into operations.
import type { Io, Mark, Picture } from "../data";

export interface Op {
  id: number;
  /** The line of the script that caused it; 0 where that is not known. */
  step: number;
  name: string;
  requester: string;
  own: boolean;
  note: string;
  /** Its callbacks, as places in the model, in the order of time. */
  events: number[];
  first: number;
  last: number;
  /** On which row of the requester's lane its bar lies, so that operations under way at a time lie below one another. */
  row: number;
}

export const ROWS = 3;

export class Model {
  readonly io: Io;
  readonly picture: Picture;
  readonly length: number;
  readonly time: Float64Array;
  readonly position: Float64Array;
  readonly lane: Uint8Array;
  readonly op: Int32Array;
  readonly color: Uint8Array;
  readonly level: Uint8Array;
  readonly ops: Op[] = [];
  readonly threads: string[] = [];
  readonly rows: number;
  readonly marks: (Mark & { op: number; event: number })[];
  /** Held from one callback (a place) to another, which is past the end where nothing let it go. */
  readonly pended: { op: number; lane: number; begin: number; end: number }[] = [];
  readonly prints: { time: number; position: number; op: number; thread: string; text: string }[] = [];
  readonly before: string[] = [];
  private readonly from: number;
  /** The greatest `last` of the operations up to each one: which of them may still be under way. */
  private readonly reach: Int32Array;

  constructor(picture: Picture, io: Io) {
    this.picture = picture;
    this.io = io;
    const { callbacks } = picture;
    const all = callbacks.io;
    let from = all.indexOf(io.number);
    if (from < 0) from = all.length;
    let end = from;
    while (end < all.length && all[end] === io.number) end++;
    this.from = from;
    this.length = end - from;
    this.time = Float64Array.from(callbacks.time.slice(from, end));
    this.lane = Uint8Array.from(callbacks.lane.slice(from, end));
    this.level = Uint8Array.from(callbacks.level.slice(from, end));
    this.op = new Int32Array(this.length).fill(-1);
    this.color = new Uint8Array(this.length);
    this.position = new Float64Array(this.length);
    this.joinThreads();
    this.joinOperations();
    this.rows = this.layRows();
    this.reach = Int32Array.from(this.ops, (op) => op.last);
    for (let n = 1; n < this.reach.length; n++) this.reach[n] = Math.max(this.reach[n], this.reach[n - 1]);
    this.marks = this.findMarks();
    this.layPositions();
    this.joinRest();
  }

  private joinThreads() {
    const { thread, process } = this.picture.callbacks;
    const places = new Map<string, number>();
    for (let n = 0; n < this.length; n++) {
      const name = `${process[this.from + n]}:${thread[this.from + n]}`;
      let place = places.get(name);
      if (place === undefined) {
        place = this.threads.length;
        places.set(name, place);
        this.threads.push(name);
      }
      this.color[n] = Math.min(place, 255);
    }
  }

  private joinOperations() {
    const { texts } = this.picture;
    const places = new Map<number, number>();
    const known = new Map(this.picture.operations.map((operation) => [operation[0], operation]));
    const { operation } = this.picture.callbacks;
    for (let n = 0; n < this.length; n++) {
      const id = operation[this.from + n];
      const facts = known.get(id);
      if (!facts) continue;
      let place = places.get(id);
      if (place === undefined) {
        place = this.ops.length;
        places.set(id, place);
        const [, , step, major, name, process, thread, paging, generated] = facts;
        this.ops.push({
          id,
          step,
          name: `${texts[major]}${name ? ` ${texts[name]}` : ""}`,
          requester: `${process}:${thread}`,
          own: process === this.io.process,
          note: [paging && "paging", generated && "generated"].filter(Boolean).join(", "),
          events: [],
          first: n,
          last: n,
          row: 0,
        });
      }
      this.op[n] = place;
      this.ops[place].events.push(n);
      this.ops[place].last = n;
    }
  }

  private layRows(): number {
    const until: number[] = [];
    for (const op of this.ops) {
      let row = until.findIndex((last) => last < op.first);
      if (row < 0) row = until.length < ROWS ? until.length : ROWS - 1;
      until[row] = Math.max(until[row] ?? 0, op.last);
      op.row = row;
    }
    return Math.max(1, until.length);
  }

  private findMarks() {
    const places = new Map(this.ops.map((op, place) => [op.id, place]));
    return this.picture.marks
      .map((mark) => ({ ...mark, op: places.get(mark.operation) ?? -1, event: this.placeOf(mark.callback) }))
      .filter((mark) => mark.event >= 0);
  }

  /** Where the callbacks stand when they are drawn one beside the other: a column each, and room where one begins. */
  private layPositions() {
    const room = new Map<number, number>();
    for (const mark of this.marks) {
      const missing = mark.must.length - mark.came.length;
      if (mark.op >= 0 && mark.must.length) room.set(this.ops[mark.op].last, Math.max(1, missing + 1));
    }
    let at = 0.8;
    for (let n = 0; n < this.length; n++) {
      const op = this.op[n] >= 0 ? this.ops[this.op[n]] : null;
      if (op && op.first === n) at += 0.5;
      this.position[n] = at;
      at += 1 + (op && op.last === n ? 0.5 : 0) + (room.get(n) ?? 0);
    }
  }

  private joinRest() {
    const places = new Map(this.ops.map((op, place) => [op.id, place]));
    for (const [operation, lane, begin, end] of this.picture.pended) {
      const op = places.get(operation);
      if (op !== undefined) this.pended.push({ op, lane, begin: this.placeOf(begin), end: end ? this.placeOf(end) : this.length });
    }
    for (const [time, io, operation, thread, text, before] of this.picture.prints) {
      if (io !== this.io.number) continue;
      if (before) this.before.push(text);
      else this.prints.push({ time, position: this.positionAt(time), op: places.get(operation) ?? -1, thread, text });
    }
  }

  private positionAt(time: number): number {
    const next = lowerBound(this.time, time);
    if (next === 0) return 0.3;
    if (next >= this.length) return this.end;
    const [t0, t1] = [this.time[next - 1], this.time[next]];
    const part = t1 > t0 ? (time - t0) / (t1 - t0) : 0.5;
    return this.position[next - 1] + part * (this.position[next] - this.position[next - 1]);
  }

  /** The width of everything, one column a callback. */
  get end(): number {
    return this.length ? this.position[this.length - 1] + 1.3 + (this.marks.some((mark) => mark.must.length) ? 2 : 0) : 1;
  }

  /** The place of a callback by its number in the trace; -1 if this script has none of it. */
  placeOf(id: number): number {
    const ids = this.picture.callbacks.id;
    let [low, high] = [this.from, this.from + this.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ids[middle] < id) low = middle + 1;
      else high = middle;
    }
    return low < this.from + this.length && ids[low] === id ? low - this.from : -1;
  }

  idOf(place: number): number {
    return this.picture.callbacks.id[this.from + place];
  }

  text(column: string, place: number): string {
    return this.picture.texts[this.picture.callbacks[column][this.from + place]];
  }

  value(column: string, place: number): number {
    return this.picture.callbacks[column][this.from + place];
  }

  details(place: number): [string, string][] {
    const places = this.picture.callbacks.details[this.from + place];
    const facts: [string, string][] = [];
    for (let n = 0; n < places.length; n += 2) facts.push([this.picture.texts[places[n]], this.picture.texts[places[n + 1]]]);
    return facts;
  }

  /** The operations that are under way between two callbacks. */
  *under(from: number, to: number): Generator<Op> {
    let first = lowerBound(this.reach, from);
    for (; first < this.ops.length && this.ops[first].first <= to; first++) {
      if (this.ops[first].last >= from) yield this.ops[first];
    }
  }

  /** The callback in words. */
  say(place: number): string {
    const parts = [
      `${this.picture.lanes[this.lane[place]].label} ${this.text("callback", place)}`,
      this.op[place] >= 0 ? this.text("title", place) : "",
      this.text("irql", place),
      this.text("returned", place) && `returned ${this.text("returned", place)}`,
      this.text("status", place) && `IoStatus ${this.text("status", place)}`,
    ];
    const mark = this.marks.find((item) => item.event === place);
    if (mark) parts.push(`${mark.verdict}: ${mark.text}`);
    return parts.filter(Boolean).join(", ");
  }
}

/** The first place of a sorted array whose value is not below another. */
export function lowerBound(values: ArrayLike<number>, value: number): number {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
