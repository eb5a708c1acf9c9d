// One test: what went wrong in a sentence, what must have come against what came, the timeline, and the rest of what is known.
import { useEffect, useState } from "preact/hooks";
import { type Mark, type Picture, type Report, type Section, type Test, seconds, unpack } from "./data";
import { Copy, Glyph, OutcomeWord, RuleLink, tone } from "./parts";
import { type Route, link } from "./route";
import { Past } from "./run";
import { Name } from "./tests";
import { Timeline } from "./timeline/view";

export function TestView({ report, number, route }: { report: Report; number: number; route: Route }) {
  const test = report.tests[number];
  const [picture, setPicture] = useState<Picture | null>(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    if (!test.trace) return;
    unpack<Picture>(`trace-${number}`).then(setPicture, (error) => setProblem(String(error)));
  }, [number]);
  const { q, outcome, suite, guest, change, trouble } = route;
  return (
    <article class="test">
      <p class="back">
        <a href={link({ view: "tests", q, outcome, suite, guest, change, trouble })}>← all tests</a>
      </p>
      <h1>
        <Name name={test.name} />
      </h1>
      <p class="facts-line">
        <OutcomeWord outcome={test.outcome} /> <span>{seconds(test.seconds)}</span>
        <span>{test.suite}</span>
        <span>{test.guest}</span>
        {test.schedules && <span class={test.outcome === "failed" ? tone("failed") : ""}>{test.schedules}</span>}
        <Past report={report} number={number} />
      </p>
      {test.message && <p class={`message ${tone(test.outcome)}`}>{test.message}</p>}
      {test.witnesses.map((witness) => (
        <p key={witness.text} class={`witness ${witness.seen ? "" : tone("not witnessed")}`}>
          <Glyph word={witness.seen ? "passed" : "not witnessed"} /> {witness.seen ? "witnessed" : "not witnessed"}: {witness.text}
        </p>
      ))}
      {picture?.marks.map((mark, place) => mark.must.length > 0 && <Paths key={place} mark={mark} />)}
      <Where test={test} />
      <Again test={test} />
      {test.trace && !picture && !problem && <p class="quiet">reading the trace …</p>}
      {problem && <p class="tone-error">The trace in this page cannot be read: {problem}</p>}
      {picture && <Timeline picture={picture} route={route} />}
      {test.left_out && (
        <p class="quiet">
          The trace of this test is not in the page, which would be too big with it. It is in <code>{test.folder}/trace.jsonl</code>.
        </p>
      )}
      <Rules report={report} test={test} />
      {test.sections
        .filter((section) => !["again", "where that is", "what the documentation says", ...(picture ? ["callback timeline"] : [])].includes(section.kind))
        .map((section, place) => (
          <Told key={place} section={section} open={place === 0} />
        ))}
      <p class="quiet">
        <code>{test.nodeid}</code>
        {test.folder && (
          <>
            {" · files: "}
            <a href={test.folder}>{test.folder}</a>
          </>
        )}
      </p>
    </article>
  );
}

/** The lines of the driver's source that the message names by address. */
function Where({ test }: { test: Test }) {
  const where = test.sections.find((section) => section.kind === "where that is")?.text;
  if (!where) return null;
  return (
    <pre class="where" tabIndex={0} aria-label="where that is in the driver">
      {where}
    </pre>
  );
}

function Again({ test }: { test: Test }) {
  const again = test.sections.find((section) => section.kind === "again")?.text;
  if (!again) return null;
  return (
    <p class="again">
      <span class="quiet">again:</span> <code>{again}</code> <Copy text={again} what="the command" />
    </p>
  );
}

/** The path that an operation took, above the one that it must take; where they part is marked. */
function Paths({ mark }: { mark: Mark }) {
  const length = Math.max(mark.came.length, mark.must.length);
  let part = 0;
  while (part < length && mark.came[part] === mark.must[part]) part++;
  const row = (name: string, path: string[], kind: string) => (
    <tr>
      <th scope="row">{name}</th>
      {Array.from({ length }, (_, place) => (
        <td key={place} class={place >= part ? kind : ""}>
          {path[place] ?? <span class="quiet">—</span>}
        </td>
      ))}
    </tr>
  );
  return (
    <div class="scroll paths" tabIndex={0} role="region" aria-label="the path that came and the one that must come">
      <table>
        <tbody>
          {row("came", mark.came, "came")}
          {row("must come", mark.must, "must")}
        </tbody>
      </table>
    </div>
  );
}

function Rules({ report, test }: { report: Report; test: Test }) {
  const ids = [...new Set([...test.violated, ...test.rules])];
  if (!ids.length) return null;
  return (
    <section>
      <h2>What the documentation says</h2>
      <dl class="said-list">
        {ids.map((id) => {
          const rule = report.rules.find((item) => item.id === id);
          return (
            <div key={id}>
              <dt>
                <RuleLink id={id} />
                {test.violated.includes(id) && <span class="word tone-violated"> violated</span>}
              </dt>
              <dd>
                {rule?.statement}{" "}
                {rule && (
                  <a class="quiet" href={rule.address}>
                    {rule.source}
                  </a>
                )}
              </dd>
            </div>
          );
        })}
      </dl>
      {test.stack.length > 0 && (
        <p class="quiet">
          stack, top to bottom: <code>{test.stack.join(", ")}</code>
        </p>
      )}
    </section>
  );
}

function Told({ section, open }: { section: Section; open: boolean }) {
  return (
    <details class="told" open={open}>
      <summary>
        <h2>{section.title || section.kind}</h2>
      </summary>
      <pre tabIndex={0} aria-label={section.title || section.kind}>
        {section.text}
      </pre>
    </details>
  );
}
