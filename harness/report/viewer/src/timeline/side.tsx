// Beside the picture: the I/O script, whose step that caused what is looked at is marked, and all operations in a list.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Step } from "../data";
import { duration } from "./geometry";
import type { Model } from "./model";

const PAGE = 150;

interface Props {
  model: Model;
  chosen: number;
  choose: (place: number) => void;
}

export function Side({ model, chosen, choose }: Props) {
  const [list, setList] = useState(false);
  const op = chosen >= 0 && model.op[chosen] >= 0 ? model.ops[model.op[chosen]] : null;
  return (
    <div class="side">
      <div class="scale" role="group" aria-label="beside the picture">
        <button type="button" aria-pressed={!list} onClick={() => setList(false)}>
          script
        </button>
        <button type="button" aria-pressed={list} onClick={() => setList(true)}>
          operations
        </button>
      </div>
      {list ? <Operations model={model} current={op?.id ?? 0} choose={choose} /> : <Script model={model} current={op?.step ?? 0} choose={choose} />}
      {model.io.error && <p class="word tone-failed">{model.io.error}</p>}
    </div>
  );
}

function Script({ model, current, choose }: { model: Model; current: number; choose: (place: number) => void }) {
  const [prepared, setPrepared] = useState(false);
  const box = useRef<HTMLOListElement>(null);
  const { io } = model;
  const steps = useMemo(() => new Map<number, Step>(io.steps.map((step) => [step[0], step])), [io]);
  const causes = useMemo(() => {
    const found = new Map<number, number>();
    for (const op of model.ops) if (op.step && !found.has(op.step)) found.set(op.step, op.first);
    return found;
  }, [model]);
  useEffect(() => {
    const line = box.current?.querySelector<HTMLElement>(".current");
    if (line && box.current) box.current.scrollTop = line.offsetTop - box.current.clientHeight / 2;
  }, [current]);
  const lines = io.lines.map((text, place) => ({ text, number: place + 1 })).filter(({ number }) => prepared || number > io.prepared);
  return (
    <>
      {io.prepared > 0 && (
        <label class="check quiet">
          <input type="checkbox" checked={prepared} onChange={(event) => setPrepared(event.currentTarget.checked)} /> also{" "}
          {io.prepared === 1 ? "the line that prepares it" : `the ${io.prepared} lines that prepare it`}
        </label>
      )}
      <ol class="script" ref={box} tabIndex={0} aria-label="I/O script">
        {lines.map(({ text, number }) => {
          const step = steps.get(number);
          const cause = causes.get(number);
          const words = <code>{text}</code>;
          return (
            <li key={number} class={`${number === current ? "current" : ""} ${number <= io.prepared ? "prepared" : ""}`} aria-current={number === current ? "step" : undefined}>
              {cause !== undefined ? (
                <button type="button" class="plain" onClick={() => choose(cause)}>
                  {words}
                </button>
              ) : (
                words
              )}
              {step && <Result step={step} />}
            </li>
          );
        })}
      </ol>
    </>
  );
}

function Result({ step }: { step: Step }) {
  const [, status, information, , begin, end, outstanding, success] = step;
  const good = success && !outstanding;
  return (
    <small class={good ? "quiet" : "tone-failed"} title={`${duration(begin)} to ${duration(end)}`}>
      {outstanding ? "outstanding" : status}
      {information ? `, ${information}` : ""}
    </small>
  );
}

function Operations({ model, current, choose }: { model: Model; current: number; choose: (place: number) => void }) {
  const [words, setWords] = useState("");
  const [pages, setPages] = useState(1);
  const found = useMemo(() => model.ops.filter((op) => `${op.name} ${op.note} ${op.id}`.toLowerCase().includes(words.toLowerCase())), [model, words]);
  return (
    <>
      <input type="search" aria-label="search the operations" placeholder="CREATE, data.bin, paging …" value={words} onInput={(event) => setWords(event.currentTarget.value)} />
      <ol class="script ops" tabIndex={0} aria-label="operations">
        {found.slice(0, pages * PAGE).map((op) => (
          <li key={op.id} class={op.id === current ? "current" : ""} aria-current={op.id === current ? "true" : undefined}>
            <button type="button" class="plain" onClick={() => choose(op.first)}>
              {op.name} {op.note && <span class="quiet">({op.note})</span>}
            </button>
            <small class="quiet">
              {op.id} · {duration(model.time[op.first])}
              {!op.own && " · of another process"}
            </small>
          </li>
        ))}
      </ol>
      {found.length > pages * PAGE && (
        <button type="button" class="small" onClick={() => setPages(pages + 1)}>
          show more of {found.length}
        </button>
      )}
    </>
  );
}
