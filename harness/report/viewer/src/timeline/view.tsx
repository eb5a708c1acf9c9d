// The timeline of a test: the picture, the I/O script beside it, and everything that is known of the callback one looks at.
import { useCallback, useEffect, useMemo, useState } from "preact/hooks";
import { type Picture, plural } from "../data";
import { type Route, go } from "../route";
import { Canvas } from "./canvas";
import { Details } from "./details";
import { Model } from "./model";
import { Side } from "./side";

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
