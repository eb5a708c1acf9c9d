// Everything that is known of one callback, and its operation as a table: the picture for those who read.
import { useState } from "preact/hooks";
import { duration } from "./geometry";
import type { Model } from "./model";

const ROWS = 60;

interface Props {
  model: Model;
  /** The callback whose facts are shown: the one under the pointer, else the chosen one. */
  place: number;
  chosen: number;
  choose: (place: number) => void;
}

export function Details({ model, place, chosen, choose }: Props) {
  if (place < 0) return <p class="quiet hint step">Choose a callback in the picture, or step through them with the arrow keys.</p>;
  const facts: [string, string][] = [
    ["time", `${duration(model.time[place])}`],
    ["thread", `${model.threads[model.color[place]]} (process:thread)`],
    ["IRQL", model.text("irql", place)],
    ["returned", model.text("returned", place)],
    ["IoStatus", model.text("status", place)],
    ["information", model.value("information", place) ? String(model.value("information", place)) : ""],
    ...model.details(place),
  ];
  const op = chosen >= 0 && model.op[chosen] >= 0 ? model.ops[model.op[chosen]] : null;
  return (
    <div class="details">
      <section class="callback" aria-label="the callback">
        <h3>
          {model.picture.lanes[model.lane[place]].label} {model.text("callback", place)}
        </h3>
        {model.op[place] >= 0 && <p>{model.text("title", place)}</p>}
        {model.marks
          .filter((mark) => mark.event === place)
          .map((mark) => (
            <p key={mark.text} class="tone-failed word">
              {mark.rule && `${mark.rule} `}
              {mark.verdict}: {mark.text}
            </p>
          ))}
        <dl>
          {facts
            .filter(([, value]) => value)
            .map(([name, value], number) => (
              <div key={`${name}${number}`}>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </div>
            ))}
        </dl>
      </section>
      {op && <Operation key={op.id} model={model} events={op.events} id={op.id} chosen={chosen} choose={choose} />}
    </div>
  );
}

function Operation({ model, events, id, chosen, choose }: { model: Model; events: number[]; id: number; chosen: number; choose: (place: number) => void }) {
  const [all, setAll] = useState(false);
  const around = Math.max(0, events.indexOf(chosen) - ROWS / 2);
  const shown = all || events.length <= ROWS ? events : events.slice(around, around + ROWS);
  return (
    <section class="operation" aria-label="the operation">
      <h3>operation {id}</h3>
      <div class="scroll" tabIndex={0} role="region" aria-label={`the callbacks of operation ${id}`}>
        <table class="callbacks">
          <thead>
            <tr>
              {["t", "thread", "filter", "callback", "IRQL", "returned", "IoStatus"].map((word) => (
                <th key={word} scope="col">
                  {word}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((place) => (
              <tr key={place} class={`${place === chosen ? "chosen" : ""} ${model.marks.some((mark) => mark.event === place) ? "wrong" : ""}`}>
                <td>{duration(model.time[place])}</td>
                <td>{model.threads[model.color[place]]}</td>
                <td>{model.picture.lanes[model.lane[place]].label}</td>
                <td>
                  <button type="button" class="plain" aria-pressed={place === chosen} onClick={() => choose(place)}>
                    {model.text("callback", place)}
                  </button>
                </td>
                <td>{model.text("irql", place)}</td>
                <td>{model.text("returned", place)}</td>
                <td>{model.text("status", place)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {shown.length < events.length && (
        <button type="button" class="small" onClick={() => setAll(true)}>
          all {events.length} callbacks of it
        </button>
      )}
    </section>
  );
}
