// The contract: every rule, what this run says of it on each guest, and in which suite.
import { Fragment } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Report, type Rule, VERDICTS, type Verdict, add, plural } from "./data";
import { Glyph, Link, OutcomeWord, VerdictWord, tone } from "./parts";
import { type Route, go } from "./route";
import { Name } from "./tests";

const BAD: Verdict[] = ["violated", "failed", "not decided"];

export function Contract({ report, route }: { report: Report; route: Route }) {
  const guests = useMemo(() => [...new Set(report.tests.map((test) => test.guest))], [report]);
  const [bySuite, setBySuite] = useState(false);
  const [all, setAll] = useState(false);
  const verdicts = route.verdict ? route.verdict.split(",") : [];
  const rules = useMemo(() => select(report, route, verdicts, all), [report, route.q, route.verdict, all, route.rule]);
  const change = (more: Partial<Route>) => go({ view: "contract", q: route.q, verdict: route.verdict, rule: route.rule, ...more }, true);
  const counts = (verdict: Verdict) =>
    Object.values(report.verdicts).filter((cells) => Object.values(cells).some((cell) => cell.verdict === verdict)).length;
  return (
    <div class="page wide">
      <h1>The contract</h1>
      <form class="filters row" role="search" onSubmit={(event) => event.preventDefault()}>
        <input
          type="search"
          placeholder="rule, area, words of the documentation …"
          aria-label="search the rules"
          value={route.q}
          onInput={(event) => change({ q: event.currentTarget.value })}
        />
        <div class="chips" role="group" aria-label="verdict">
          {VERDICTS.filter((verdict) => counts(verdict) > 0).map((verdict) => {
            const on = verdicts.includes(verdict);
            const next = on ? verdicts.filter((item) => item !== verdict) : [...verdicts, verdict];
            return (
              <button key={verdict} type="button" class={`chip ${tone(verdict)}`} aria-pressed={on} onClick={() => change({ verdict: next.join(",") })}>
                <Glyph word={verdict} /> {counts(verdict)} {verdict}
              </button>
            );
          })}
        </div>
        <label class="check">
          <input type="checkbox" checked={bySuite} onChange={(event) => setBySuite(event.currentTarget.checked)} /> by suite
        </label>
        <label class="check">
          <input type="checkbox" checked={all} onChange={(event) => setAll(event.currentTarget.checked)} /> also rules that no test of
          this run names
        </label>
      </form>
      <p class="quiet" role="status">
        {plural(rules.length, "rule")}
      </p>
      <Matrix report={report} rules={rules} guests={guests} bySuite={bySuite} open={route.rule} />
    </div>
  );
}

function select(report: Report, route: Route, verdicts: string[], all: boolean): Rule[] {
  const words = route.q.toLowerCase().split(/\s+/).filter(Boolean);
  const known = new Set(report.rules.map((rule) => rule.id));
  const strangers = Object.keys(report.verdicts)
    .filter((id) => !known.has(id))
    .map((id) => ({ id, statement: "", source: "", address: "", area: "", kind: "", guarded: false }));
  return [...report.rules, ...strangers].filter((rule) => {
    const cells = Object.values(report.verdicts[rule.id] ?? {});
    if (rule.id === route.rule) return true;
    if (!cells.length && !all) return false;
    if (verdicts.length && !cells.some((cell) => verdicts.includes(cell.verdict))) return false;
    const text = `${rule.id} ${rule.area} ${rule.kind} ${rule.statement} ${rule.source}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

interface MatrixProps {
  report: Report;
  rules: Rule[];
  guests: string[];
  bySuite: boolean;
  open: string;
}

function Matrix({ report, rules, guests, bySuite, open }: MatrixProps) {
  const suites = useMemo(() => [...new Set(report.tests.map((test) => test.suite))].sort(), [report]);
  const columns = bySuite ? guests.flatMap((guest) => suites.map((suite) => ({ guest, suite }))) : guests.map((guest) => ({ guest, suite: "" }));
  if (!rules.length) return <p>No rule is like that.</p>;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="rules and verdicts">
      <table class={`matrix ${bySuite ? "by-suite" : ""}`}>
        <thead>
          <tr>
            <th scope="col">rule</th>
            {columns.map(({ guest, suite }) => (
              <th key={`${guest} ${suite}`} scope="col" class="verdict-head">
                <span>{suite ? (guests.length > 1 ? `${suite} (${guest})` : suite) : guest}</span>
              </th>
            ))}
            <th scope="col">what the documentation says</th>
          </tr>
        </thead>
        <tbody>
          {grouped(report, rules).map(([title, group]) => (
            <Fragment key={title}>
              <tr class="area">
                <th scope="rowgroup" colSpan={columns.length + 2}>
                  {title}
                </th>
              </tr>
              {group.map((rule) => (
                <Row key={rule.id} report={report} rule={rule} columns={columns} open={open === rule.id} />
              ))}
            </Fragment>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** What is not as it should be first, then area by area. */
function grouped(report: Report, rules: Rule[]): [string, Rule[]][] {
  const groups = new Map<string, Rule[]>();
  const bad = (rule: Rule) => Object.values(report.verdicts[rule.id] ?? {}).some((cell) => BAD.includes(cell.verdict));
  const worst = (rule: Rule) => Math.min(...Object.values(report.verdicts[rule.id]).map((cell) => VERDICTS.indexOf(cell.verdict)));
  const wrong = rules.filter(bad).sort((a, b) => worst(a) - worst(b));
  if (wrong.length) groups.set("went wrong", wrong);
  for (const rule of rules) {
    if (bad(rule)) continue;
    const area = rule.area || "not in the catalogue";
    add(groups, area, rule);
  }
  return [...groups];
}

function Row({ report, rule, columns, open }: { report: Report; rule: Rule; columns: { guest: string; suite: string }[]; open: boolean }) {
  const cells = report.verdicts[rule.id] ?? {};
  const row = useRef<HTMLTableRowElement>(null);
  useEffect(() => {
    if (open) row.current?.scrollIntoView({ block: "center" });
  }, [open]);
  const tests = [...new Set(Object.values(cells).flatMap((cell) => cell.tests))];
  return (
    <tr ref={row} class={open ? "open" : ""}>
      <th scope="row">
        <Link to={{ view: "contract", rule: open ? "" : rule.id }} class="rule">
          {rule.id}
        </Link>
      </th>
      {columns.map(({ guest, suite }) => {
        const verdict = suite ? cells[guest]?.suites[suite] : cells[guest]?.verdict;
        const words = verdict ?? (suite || cells[guest] ? "" : "not run");
        if (!words) return <td key={`${guest} ${suite}`} />;
        return (
          <td key={`${guest} ${suite}`} class="verdict-cell">
            {suite ? (
              <span class={`word ${tone(words)}`} title={words}>
                <Glyph word={words} />
                <span class="visually-hidden">{words}</span>
              </span>
            ) : (
              <VerdictWord verdict={words as Verdict} />
            )}
          </td>
        );
      })}
      <td class="statement">
        {rule.statement}
        {open && (
          <div class="more">
            <p class="quiet">
              {rule.area}
              {rule.kind && ` · ${rule.kind} of the ${rule.kind === "guarantee" ? "filter manager" : "minifilter"}`}
              {rule.guarded ? " · a deliberate break of it is known to turn a test red" : " · no deliberate break of it is known to turn a test red"}
              {rule.address && (
                <>
                  {" · "}
                  <a href={rule.address}>{rule.source}</a>
                </>
              )}
            </p>
            {tests.length > 0 && (
              <ul class="plain-list">
                {tests.map((number) => {
                  const test = report.tests[number];
                  return (
                    <li key={number}>
                      <OutcomeWord outcome={test.outcome} />{" "}
                      <Link to={{ test: test.nodeid }}>
                        <Name name={test.name} />
                      </Link>
                    </li>
                  );
                })}
              </ul>
            )}
          </div>
        )}
      </td>
    </tr>
  );
}
