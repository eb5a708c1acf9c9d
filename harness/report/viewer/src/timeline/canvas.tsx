// The picture with its tools: zoom, pan, keys, what is under the pointer, and what the colours mean.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { plural } from "../data";
import { type View, begin, bounded, extent, unit, whole, zoomed } from "./camera";
import { draw } from "./draw";
import { type Geometry, duration, layOut, levelLabels } from "./geometry";
import type { Model } from "./model";
import { usePointer } from "./pointer";
import type { Colors } from "./scene";

const HELP =
  "arrow left and right: callback by callback; up and down: operation by operation; plus, minus and 0: zoom; home and end: first and last";

interface CanvasProps {
  model: Model;
  chosen: number;
  hovered: number;
  choose: (place: number) => void;
  hover: (place: number) => void;
}

export function Canvas({ model, chosen, hovered, choose, hover }: CanvasProps) {
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

function Lanes({ model, at }: { model: Model; at: Geometry }) {
  return (
    <div class="lanes" style={{ height: `${at.height}px` }} aria-hidden="true">
      <span style={{ top: `${at.requester + 8}px` }}>requester</span>
      {model.picture.lanes.map((lane, place) => (
        <span key={lane.label} style={{ top: `${at.lanes[place]}px` }}>
          <b>{lane.label}</b>
          {lane.altitude && (
            <small>
              {lane.driver !== lane.label ? `${lane.driver} ` : ""}
              {lane.altitude}
              {lane.seen_by && `, seen by ${lane.seen_by}`}
            </small>
          )}
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
