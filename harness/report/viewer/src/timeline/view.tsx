// The timeline of a test: the picture, the I/O script beside it, and everything that is known of the callback one looks at.
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Picture, plural } from "../data";
import { type Route, go } from "../route";
import { Details } from "./details";
import { type Colors, type View, draw, duration, extent, layOut, levelLabels, unit } from "./draw";
import { Model, lowerBound } from "./model";
import { Side } from "./side";

const HELP =
  "arrow left and right: callback by callback; up and down: operation by operation; plus, minus and 0: zoom; home and end: first and last";

export function Timeline({ picture, route }: { picture: Picture; route: Route }) {
  const [number, setNumber] = useState(() => ioOf(picture, route));
  const io = picture.ios.find((item) => item.number === number) ?? picture.ios[0];
  if (!io) return <p class="quiet">The test did no I/O.</p>;
  return (
    <section class="timeline" aria-label="callback timeline">
      <div class="timeline-head">
        <h2>Callbacks</h2>
        {picture.ios.length > 1 && (
          <select aria-label="I/O script" value={String(io.number)} onChange={(event) => setNumber(Number(event.currentTarget.value))}>
            {picture.ios.map((item) => (
              <option key={item.number} value={String(item.number)}>
                I/O {item.number} of {picture.ios.length}
              </option>
            ))}
          </select>
        )}
      </div>
      <Stage key={io.number} picture={picture} ioNumber={io.number} route={route} />
    </section>
  );
}

/** The script to begin with: of the link's callback or operation, else the last one that something is wrong in. */
function ioOf(picture: Picture, route: Route): number {
  const { callbacks, operations, marks } = picture;
  const event = route.event || marks.find((mark) => mark.callback)?.callback || 0;
  const place = event ? callbacks.id.indexOf(event) : -1;
  if (route.op) {
    const operation = operations.find((item) => item[0] === route.op);
    if (operation) return operation[1];
  }
  if (place >= 0) return callbacks.io[place];
  return picture.ios.at(-1)?.number ?? 1;
}

function Stage({ picture, ioNumber, route }: { picture: Picture; ioNumber: number; route: Route }) {
  const model = useMemo(() => new Model(picture, picture.ios.find((io) => io.number === ioNumber)!), [picture, ioNumber]);
  const [chosen, setChosen] = useState(() => startOf(model, route));
  const [hovered, setHovered] = useState(-1);
  const choose = useCallback(
    (place: number, known = true) => {
      setChosen(place);
      const op = model.op[place] >= 0 ? model.ops[model.op[place]].id : 0;
      if (known) go({ ...filters(route), test: route.test, op, event: model.idOf(place) }, true);
    },
    [model, route],
  );
  useEffect(() => {
    const place = startOf(model, route);
    if (route.event || route.op) setChosen(place);
  }, [route.event, route.op]);
  if (!model.length) {
    return (
      <>
        <p class="quiet">{model.io.error ? `Nothing was recorded: ${model.io.error}` : "No callback was recorded."}</p>
        <Notes picture={picture} model={model} />
        <Side model={model} chosen={-1} choose={choose} />
      </>
    );
  }
  return (
    <>
      <div class="stage">
        <Side model={model} chosen={chosen} choose={choose} />
        <Canvas model={model} chosen={chosen} hovered={hovered} choose={choose} hover={setHovered} />
      </div>
      <Details model={model} place={hovered >= 0 ? hovered : chosen} chosen={chosen} choose={choose} />
      <Notes picture={picture} model={model} />
    </>
  );
}

function filters({ q, outcome, suite, guest, change, trouble }: Route): Partial<Route> {
  return { q, outcome, suite, guest, change, trouble };
}

function startOf(model: Model, route: Route): number {
  const event = route.event ? model.placeOf(route.event) : -1;
  if (event >= 0) return event;
  const op = route.op ? model.ops.find((item) => item.id === route.op) : undefined;
  if (op) return op.first;
  return model.marks.length ? model.marks[0].event : -1;
}

function Notes({ picture, model }: { picture: Picture; model: Model }) {
  const { io } = model;
  const held = Object.entries(io.held).map(([label, count]) => `${label} still held ${plural(count, "operation")}`);
  const lost = io.lost ? [`${plural(io.lost, "event")} lost: the ring of a minifilter was full`] : [];
  const said = [...held, ...lost, ...picture.notes.filter(([source]) => source !== "kernel").map(([, text]) => text)];
  const kernel = picture.notes.filter(([source]) => source === "kernel").map(([, text]) => text);
  return (
    <>
      {said.map((text) => (
        <p key={text} class="word tone-not-witnessed">
          {text}
        </p>
      ))}
      {model.before.length > 0 && (
        <details class="told">
          <summary>
            <h3>printed before the test's own I/O</h3>
          </summary>
          <pre tabIndex={0}>{model.before.join("\n")}</pre>
        </details>
      )}
      {kernel.length > 0 && !model.length && (
        <details class="told" open>
          <summary>
            <h3>what the kernel did last</h3>
          </summary>
          <pre tabIndex={0}>{kernel.join("\n")}</pre>
        </details>
      )}
    </>
  );
}

interface CanvasProps {
  model: Model;
  chosen: number;
  hovered: number;
  choose: (place: number) => void;
  hover: (place: number) => void;
}

function Canvas({ model, chosen, hovered, choose, hover }: CanvasProps) {
  const frame = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [view, setView] = useState<View | null>(null);
  const [colors, setColors] = useState<Colors | null>(null);
  const [focused, setFocused] = useState(false);
  const compact = width < 520;
  const at = useMemo(() => layOut(model, width, compact), [model, width, compact]);

  useLayoutEffect(() => {
    const measure = () => setWidth(Math.max(120, Math.floor(frame.current!.clientWidth)));
    measure();
    const watch = new ResizeObserver(measure);
    watch.observe(frame.current!);
    const read = () => setColors(readColors(frame.current!));
    read();
    addEventListener("themechange", read);
    return () => {
      watch.disconnect();
      removeEventListener("themechange", read);
    };
  }, []);

  const shown = view ?? (width ? begin(model, width, chosen) : null);
  useEffect(() => {
    if (!shown || !colors || !canvas.current || !width) return;
    const ratio = devicePixelRatio || 1;
    const element = canvas.current;
    if (element.width !== Math.round(at.width * ratio) || element.height !== Math.round(at.height * ratio)) {
      element.width = Math.round(at.width * ratio);
      element.height = Math.round(at.height * ratio);
    }
    const request = requestAnimationFrame(() => {
      const context = element.getContext("2d")!;
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      draw(context, model, shown, at, colors, chosen, hovered, focused);
    });
    return () => cancelAnimationFrame(request);
  });

  // What is chosen is brought into sight, wherever it was chosen.
  useEffect(() => {
    if (!shown || chosen < 0 || !width) return;
    const here = (unit(model, shown, chosen) - shown.left) * shown.zoom;
    if (here < 40 || here > width - 40) setView(bounded(model, { ...shown, left: unit(model, shown, chosen) - width / 2 / shown.zoom }, width));
  }, [chosen]);

  const zoom = (factor: number, around = width / 2) => {
    if (shown) setView(zoomed(model, shown, factor, around, width));
  };
  const pointer = usePointer({ model, view: shown, setView, at, width, choose, hover });

  useEffect(() => {
    const element = canvas.current!;
    const wheel = (event: WheelEvent) => {
      if (!shown) return;
      if (event.ctrlKey || event.metaKey) {
        event.preventDefault();
        zoom(Math.exp(-event.deltaY / 200), event.offsetX);
      } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        event.preventDefault();
        setView(bounded(model, { ...shown, left: shown.left + (event.deltaX || event.deltaY) / shown.zoom }, width));
      }
    };
    element.addEventListener("wheel", wheel, { passive: false });
    return () => element.removeEventListener("wheel", wheel);
  });

  const keys = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const next = stepped(model, chosen, event.key);
    if (next !== null) choose(next);
    else if (event.key === "+" || event.key === "=") zoom(1.4, around());
    else if (event.key === "-") zoom(1 / 1.4, around());
    else if (event.key === "0") setView(whole(model, shown?.scale ?? "order", width));
    else return;
    event.preventDefault();
  };
  const around = () => (chosen >= 0 && shown ? (unit(model, shown, chosen) - shown.left) * shown.zoom : width / 2);
  const rescale = (scale: View["scale"]) => {
    const fitted = scale === "order" ? begin(model, width, chosen) : whole(model, "time", width);
    setView(fitted);
  };
  const focusOn = () => {
    if (chosen < 0 || !shown || model.op[chosen] < 0) return;
    const op = model.ops[model.op[chosen]];
    const [first, last] = [unit(model, shown, op.first), unit(model, shown, op.last)];
    const span = Math.max(last - first, shown.scale === "order" ? 3 : 1) * 1.25;
    setView(bounded(model, { ...shown, zoom: width / span, left: (first + last) / 2 - span / 2 }, width));
  };
  const described = chosen >= 0 ? model.say(chosen) : `${plural(model.length, "callback")} of ${plural(model.ops.length, "operation")}`;

  return (
    <div class="picture">
      <div class="tools" role="group" aria-label="the picture">
        <div class="scale" role="group" aria-label="scale">
          <button type="button" aria-pressed={shown?.scale !== "time"} onClick={() => rescale("order")}>
            in turn
          </button>
          <button type="button" aria-pressed={shown?.scale === "time"} onClick={() => rescale("time")}>
            by time
          </button>
        </div>
        <button type="button" class="small" onClick={() => zoom(1.5, around())} aria-label="zoom in">
          +
        </button>
        <button type="button" class="small" onClick={() => zoom(1 / 1.5, around())} aria-label="zoom out">
          −
        </button>
        <button type="button" class="small" onClick={() => setView(whole(model, shown?.scale ?? "order", width))}>
          all
        </button>
        <button type="button" class="small" onClick={focusOn} disabled={chosen < 0}>
          operation
        </button>
        {model.marks.length > 0 && (
          <button type="button" class="small tone-failed" onClick={() => choose(model.marks[0].event)}>
            what is wrong
          </button>
        )}
        <span class="quiet tally">
          {plural(model.length, "callback")} · {plural(model.ops.length, "operation")} · {model.picture.clock}
        </span>
      </div>
      <div class="lanes-and-canvas">
        <Lanes model={model} at={at} />
        <div
          class="frame"
          ref={frame}
          tabIndex={0}
          role="application"
          aria-roledescription="callback timeline"
          aria-label={`callback timeline; ${HELP}`}
          onKeyDown={keys}
          onFocus={() => setFocused(true)}
          onBlur={() => setFocused(false)}
        >
          <canvas ref={canvas} style={{ width: `${at.width}px`, height: `${at.height}px` }} {...pointer} aria-hidden="true" />
          {hovered >= 0 && shown && <Tip model={model} place={hovered} x={(unit(model, shown, hovered) - shown.left) * shown.zoom} y={at.lanes[model.lane[hovered]]} width={width} />}
        </div>
      </div>
      {shown && <Overview model={model} view={shown} width={width} setView={setView} />}
      <p class="visually-hidden" aria-live="polite">
        {described}
      </p>
      <Legend model={model} colors={colors} />
    </div>
  );
}

/** Where a key leads from a callback; null if it leads nowhere. */
function stepped(model: Model, chosen: number, key: string): number | null {
  const last = model.length - 1;
  const op = chosen >= 0 ? model.op[chosen] : -1;
  switch (key) {
    case "ArrowRight":
      return Math.min(last, chosen + 1);
    case "ArrowLeft":
      return Math.max(0, chosen < 0 ? last : chosen - 1);
    case "ArrowDown":
      return model.ops.length ? model.ops[Math.min(model.ops.length - 1, op + 1)].first : null;
    case "ArrowUp":
      return model.ops.length ? model.ops[Math.max(0, op < 0 ? model.ops.length - 1 : op - 1)].first : null;
    case "Home":
      return 0;
    case "End":
      return last;
    default:
      return null;
  }
}

function begin(model: Model, width: number, chosen: number): View {
  const all = whole(model, "order", width);
  const least = 22;
  if (all.zoom >= least) return all;
  const middle = chosen >= 0 ? model.position[chosen] : width / 2 / 28;
  return bounded(model, { scale: "order", zoom: 28, left: middle - width / 2 / 28 }, width);
}

function whole(model: Model, scale: View["scale"], width: number): View {
  const view = { scale, left: 0, zoom: 1 };
  const [first, last] = extent(model, view);
  const most = scale === "order" ? 84 : 1e4;
  return { scale, left: first, zoom: Math.min(most, width / (last - first)) };
}

function zoomed(model: Model, view: View, factor: number, around: number, width: number): View {
  const [first, last] = extent(model, view);
  const least = Math.min(width / (last - first), view.scale === "order" ? 84 : 1e4);
  const most = view.scale === "order" ? 120 : 400;
  const zoom = Math.max(least, Math.min(most, view.zoom * factor));
  const held = view.left + around / view.zoom;
  return bounded(model, { ...view, zoom, left: held - around / zoom }, width);
}

/** The view, not beyond the ends of the picture. */
function bounded(model: Model, view: View, width: number): View {
  const [first, last] = extent(model, view);
  const span = width / view.zoom;
  const left = span >= last - first ? first : Math.max(first, Math.min(last - span, view.left));
  return { ...view, left };
}

interface PointerProps {
  model: Model;
  view: View | null;
  setView: (view: View) => void;
  at: ReturnType<typeof layOut>;
  width: number;
  choose: (place: number) => void;
  hover: (place: number) => void;
}

/** Drag to pan, two fingers to zoom, tap or click to choose. */
function usePointer({ model, view, setView, at, width, choose, hover }: PointerProps) {
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
function nearest(model: Model, view: View, at: ReturnType<typeof layOut>, x: number, y: number, reach: number): number {
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

function Lanes({ model, at }: { model: Model; at: ReturnType<typeof layOut> }) {
  return (
    <div class="lanes" style={{ height: `${at.height}px` }} aria-hidden="true">
      <span style={{ top: `${at.requester + 8}px` }}>requester</span>
      {model.picture.lanes.map((lane, place) => (
        <span key={lane.label} style={{ top: `${at.lanes[place]}px` }}>
          <b>{lane.label}</b>
          {lane.altitude && <small>{lane.driver !== lane.label ? `${lane.driver} ` : ""}{lane.altitude}</small>}
        </span>
      ))}
      <span style={{ top: `${at.fileSystem}px` }}>file system</span>
      {at.prints > 0 && <span style={{ top: `${at.prints}px` }}>DbgPrint</span>}
      {levelLabels(at).map(([top, word]) => (
        <span key={word} class="level" style={{ top: `${top}px` }}>
          {word}
        </span>
      ))}
    </div>
  );
}

function Tip({ model, place, x, y, width }: { model: Model; place: number; x: number; y: number; width: number }) {
  const side = x > width / 2 ? { right: `${Math.max(0, width - x + 16)}px` } : { left: `${x + 16}px` };
  return (
    <div class="tip" style={{ top: `${y + 12}px`, ...side }}>
      <b>
        {model.picture.lanes[model.lane[place]].label} {model.text("callback", place)}
      </b>
      {model.op[place] >= 0 && <div>{model.text("title", place)}</div>}
      <div>
        {duration(model.time[place])} · {model.threads[model.color[place]]} · {model.text("irql", place)}
      </div>
      {model.text("returned", place) && <div>returned {model.text("returned", place)}</div>}
      {model.text("status", place) && <div>IoStatus {model.text("status", place)}</div>}
      {model.marks
        .filter((mark) => mark.event === place)
        .map((mark) => (
          <div key={mark.text} class="tone-failed">
            {mark.verdict}: {mark.text}
          </div>
        ))}
    </div>
  );
}

/** The whole in one strip, with what is in sight marked; only where not all of it is. */
function Overview({ model, view, width, setView }: { model: Model; view: View; width: number; setView: (view: View) => void }) {
  const [first, last] = extent(model, view);
  const span = width / view.zoom;
  if (span >= (last - first) * 0.99) return null;
  return (
    <input
      type="range"
      class="strip"
      aria-label="move through the timeline"
      min={0}
      max={1000}
      value={Math.round(((view.left - first) / (last - first - span)) * 1000)}
      onInput={(event) => setView(bounded(model, { ...view, left: first + (Number(event.currentTarget.value) / 1000) * (last - first - span) }, width))}
    />
  );
}

function Legend({ model, colors }: { model: Model; colors: Colors | null }) {
  if (!colors) return null;
  const many = model.threads.length > 8;
  return (
    <ul class="legend keys" aria-label="what the picture means">
      {model.threads.slice(0, 8).map((name, place) => (
        <li key={name}>
          <span class="swatch" style={{ background: colors.threads[place % colors.threads.length] }} /> {name}
        </li>
      ))}
      {many && <li>and {model.threads.length - 8} more threads, in the same colours</li>}
      <li>▼ pre</li>
      <li>▲ post</li>
      {model.pended.length > 0 && <li>▶ resumed, after a bar while it was held</li>}
      {model.marks.some((mark) => mark.must.length) && <li class="must">┄△┄ must come</li>}
      <li class="quiet help">{HELP}</li>
    </ul>
  );
}

function readColors(element: Element): Colors {
  const style = getComputedStyle(element);
  const of = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    text: of("text"),
    quiet: of("quiet"),
    line: of("line"),
    band: of("band"),
    background: of("background"),
    soft: of("soft"),
    bad: of("failed"),
    must: of("must"),
    accent: of("accent"),
    apc: of("apc"),
    dispatch: of("dispatch"),
    threads: Array.from({ length: 8 }, (_, place) => of(`thread-${place}`)),
  };
}
