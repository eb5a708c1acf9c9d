// The list of tests with its filters, and beside it the test that is looked at.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Change, OUTCOMES, OUTCOME_WORDS, type Report, type Test, add, changeOf, plural, seconds } from "./data";
import { Glyph, tone } from "./parts";
import { type Route, go, link } from "./route";
import { TestView } from "./test";

const PAGE = 200;

export function Tests({ report, route }: { report: Report; route: Route }) {
  const number = report.tests.findIndex((test) => test.nodeid === route.test);
  const changes = useMemo(() => report.tests.map((_, n) => changeOf(report, n)), [report]);
  const found = useMemo(() => select(report, route, changes), [report, route.q, route.outcome, route.suite, route.guest, route.change, route.trouble]);
  const chosen = number >= 0 || route.test !== "";
  return (
    <div class={`split ${chosen ? "chosen" : ""}`}>
      <section class="list" aria-label="tests">
        {!chosen && <h1 class="visually-hidden">Tests</h1>}
        <Filters report={report} route={route} found={found.length} />
        <List report={report} route={route} found={found} changes={changes} />
      </section>
      <section class="detail" aria-label="the test">
        {number >= 0 && <TestView key={route.test} report={report} number={number} route={route} />}
        {number < 0 && chosen && (
          <div class="page">
            <h1>This run has no such test</h1>
            <p>
              <code>{route.test}</code>
            </p>
            <p>
              <a href={link({ view: "tests" })}>all tests</a>
            </p>
          </div>
        )}
        {!chosen && <p class="quiet hint">Choose a test: its callbacks, its I/O and what went wrong are shown here.</p>}
      </section>
    </div>
  );
}

function select(report: Report, route: Route, changes: Change[]): number[] {
  const words = route.q.toLowerCase().split(/\s+/).filter(Boolean);
  const outcomes = route.outcome ? route.outcome.split(",") : [];
  const found: number[] = [];
  const trouble = route.trouble ? new Set(report.troubles[Number(route.trouble) - 1]?.tests) : null;
  report.tests.forEach((test, number) => {
    if (outcomes.length && !outcomes.includes(test.outcome)) return;
    if (route.suite && test.suite !== route.suite) return;
    if (route.guest && test.guest !== route.guest) return;
    if (route.change && changes[number] !== route.change) return;
    if (trouble && !trouble.has(number)) return;
    if (words.length) {
      const text = [test.nodeid, test.guest, test.message, ...test.rules, ...test.violated, ...test.stack].join(" ").toLowerCase();
      if (!words.every((word) => text.includes(word))) return;
    }
    found.push(number);
  });
  return found;
}

function Filters({ report, route, found }: { report: Report; route: Route; found: number }) {
  const suites = [...new Set(report.tests.map((test) => test.suite))].sort();
  const guests = [...new Set(report.tests.map((test) => test.guest))].filter(Boolean);
  const outcomes = route.outcome ? route.outcome.split(",") : [];
  const change = (more: Partial<Route>) => go({ ...kept(route), view: "tests", ...more }, true);
  const any = route.q || route.outcome || route.suite || route.guest || route.change || route.trouble;
  return (
    <form class="filters" role="search" onSubmit={(event) => event.preventDefault()}>
      <input
        type="search"
        placeholder="name, rule, driver, message …"
        aria-label="search the tests"
        value={route.q}
        onInput={(event) => change({ q: event.currentTarget.value })}
      />
      <div class="chips" role="group" aria-label="outcome">
        {OUTCOMES.map((outcome) => {
          const count = report.tests.filter((test) => test.outcome === outcome).length;
          if (!count) return null;
          const on = outcomes.includes(outcome);
          const next = on ? outcomes.filter((item) => item !== outcome) : [...outcomes, outcome];
          return (
            <button
              key={outcome}
              type="button"
              class={`chip ${tone(outcome)}`}
              aria-pressed={on}
              onClick={() => change({ outcome: next.join(",") })}
            >
              <Glyph word={outcome} /> {count} {OUTCOME_WORDS[outcome]}
            </button>
          );
        })}
      </div>
      <div class="selects">
        {suites.length > 1 && (
          <select aria-label="suite" value={route.suite} onChange={(event) => change({ suite: event.currentTarget.value })}>
            <option value="">all suites</option>
            {suites.map((suite) => (
              <option key={suite}>{suite}</option>
            ))}
          </select>
        )}
        {guests.length > 1 && (
          <select aria-label="guest" value={route.guest} onChange={(event) => change({ guest: event.currentTarget.value })}>
            <option value="">all guests</option>
            {guests.map((guest) => (
              <option key={guest}>{guest}</option>
            ))}
          </select>
        )}
        {report.former.length > 0 && (
          <select aria-label="since the run before" value={route.change} onChange={(event) => change({ change: event.currentTarget.value })}>
            <option value="">changed or not</option>
            {["newly failing", "mended", "otherwise", "new"].map((word) => (
              <option key={word}>{word}</option>
            ))}
          </select>
        )}
      </div>
      <p class="quiet tally" role="status">
        {plural(found, "test")}
        {any && (
          <>
            {" of "}
            {report.tests.length} ·{" "}
            <button type="button" class="plain" onClick={() => change({ q: "", outcome: "", suite: "", guest: "", change: "", trouble: "" })}>
              show all
            </button>
          </>
        )}
      </p>
    </form>
  );
}

/** The filters of a route, and the test that is open. */
function kept(route: Route): Partial<Route> {
  const { q, outcome, suite, guest, change, trouble, test } = route;
  return { q, outcome, suite, guest, change, trouble, test };
}

function List({ report, route, found, changes }: { report: Report; route: Route; found: number[]; changes: Change[] }) {
  const [pages, setPages] = useState(1);
  const list = useRef<HTMLDivElement>(null);
  const groups = useMemo(() => grouped(report, found), [report, found]);
  useEffect(() => {
    const current = list.current?.querySelector<HTMLElement>("[aria-current]");
    if (current && list.current) {
      const box = list.current.getBoundingClientRect();
      const mine = current.getBoundingClientRect();
      if (mine.top < box.top || mine.bottom > box.bottom) current.scrollIntoView({ block: "nearest" });
    }
  }, [route.test]);
  const move = (event: KeyboardEvent) => {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const links = [...(list.current?.querySelectorAll<HTMLElement>("a") ?? [])];
    const place = links.indexOf(document.activeElement as HTMLElement);
    const next = links[place + (event.key === "ArrowDown" ? 1 : -1)];
    if (place < 0 || !next) return;
    event.preventDefault();
    next.focus();
  };
  let room = pages * PAGE;
  return (
    <div class="rows" ref={list} onKeyDown={move}>
      {groups.map(([title, numbers]) => {
        const shown = numbers.slice(0, Math.max(0, room));
        room -= shown.length;
        if (!shown.length) return null;
        return (
          <div key={title} class="group">
            <h2>
              {title} <span class="quiet">{numbers.length}</span>
            </h2>
            <ul>
              {shown.map((number) => (
                <Row key={number} test={report.tests[number]} route={route} change={changes[number]} />
              ))}
            </ul>
          </div>
        );
      })}
      {found.length > pages * PAGE && (
        <button type="button" onClick={() => setPages(pages + 1)}>
          show {Math.min(PAGE, found.length - pages * PAGE)} more
        </button>
      )}
      {found.length === 0 && <p class="quiet hint">No test is like that.</p>}
    </div>
  );
}

/** What went wrong first, then suite by suite. */
function grouped(report: Report, found: number[]): [string, number[]][] {
  const bad = (test: Test) => test.outcome === "failed" || test.outcome === "error";
  const groups = new Map<string, number[]>();
  const wrong = found.filter((number) => bad(report.tests[number]));
  if (wrong.length) groups.set("went wrong", wrong);
  const rest = found.filter((number) => !bad(report.tests[number]));
  for (const number of rest.sort((a, b) => report.tests[a].suite.localeCompare(report.tests[b].suite) || a - b)) {
    const suite = report.tests[number].suite;
    add(groups, suite, number);
  }
  return [...groups];
}

function Row({ test, route, change }: { test: Test; route: Route; change: Change }) {
  const current = test.nodeid === route.test;
  return (
    <li>
      <a href={link({ ...kept(route), test: test.nodeid })} aria-current={current ? "true" : undefined}>
        <span class="visually-hidden">{OUTCOME_WORDS[test.outcome]}: </span>
        <Glyph word={test.outcome} />
        <span class="name">
          <Name name={test.name} />
        </span>
        <span class="meta quiet">{seconds(test.seconds)}</span>
        {change && change !== "new" && <span class="badge">{change === "otherwise" ? "ended otherwise before" : change}</span>}
      </a>
    </li>
  );
}

/** A test's name, which may break at its underscores. */
export function Name({ name }: { name: string }) {
  return (
    <>
      {name.split(/(?<=_)/).map((part, place) => (
        <span key={place}>
          {place > 0 && <wbr />}
          {part}
        </span>
      ))}
    </>
  );
}
