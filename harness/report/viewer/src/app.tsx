// The frame of the page: what run this is, and the views of it.
import { useEffect, useRef, useState } from "preact/hooks";
import { Contract } from "./contract";
import { CoverageView } from "./coverage";
import type { Report } from "./data";
import { Overview } from "./overview";
import { Link, day } from "./parts";
import { type Route, useRoute } from "./route";
import { RunView } from "./run";
import { Tests } from "./tests";

const VIEWS: [Route["view"], string][] = [
  ["overview", "Overview"],
  ["tests", "Tests"],
  ["contract", "Contract"],
  ["coverage", "Coverage"],
  ["run", "Run"],
];
const THEMES = ["auto", "light", "dark"];

export function App({ report }: { report: Report }) {
  const route = useRoute();
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  const place = `${route.view} ${route.test}`;
  useEffect(() => {
    const words = VIEWS.find(([view]) => view === route.view)?.[1];
    const test = report.tests.find((item) => item.nodeid === route.test);
    document.title = `${test ? test.name : words} · fltlab ${report.run.id}`;
    // A reader who follows a link is taken to what it shows.
    if (!first.current && route.view !== "tests") main.current?.focus({ preventScroll: true });
    if (!first.current) scrollTo({ top: 0 });
    first.current = false;
  }, [place]);
  return (
    <>
      <header class="top">
        <button type="button" class="skip" onClick={() => main.current?.focus()}>
          skip to the content
        </button>
        <div class="title">
          <strong>fltlab</strong>
          <span class="quiet"> run {report.run.id}</span>
          <span class="quiet when"> · {day(report.run.started)}</span>
        </div>
        <nav aria-label="views">
          {VIEWS.filter(([view]) => view !== "coverage" || report.coverage).map(([view, words]) => (
            <a
              key={view}
              href={view === "overview" ? "#" : `#view=${view}`}
              aria-current={route.view === view ? "page" : undefined}
            >
              {words}
              {view === "tests" && <span class="count"> {report.summary.tests}</span>}
            </a>
          ))}
        </nav>
        <Theme />
      </header>
      <main ref={main} tabIndex={-1}>
        {route.view === "overview" && <Overview report={report} />}
        {route.view === "tests" && <Tests report={report} route={route} />}
        {route.view === "contract" && <Contract report={report} route={route} />}
        {route.view === "coverage" && <CoverageView report={report} route={route} />}
        {route.view === "run" && <RunView report={report} />}
      </main>
      <footer class="quiet">
        {report.run.guests.filter((guest) => guest.notice).map((guest) => (
          <p key={guest.name}>
            <b>{guest.name}</b>: {guest.notice}.
          </p>
        ))}
        <p>
          made by fltlab {report.run.versions.fltlab} · <Link to={{ view: "run" }}>where this comes from</Link>
        </p>
      </footer>
    </>
  );
}

function Theme() {
  const [theme, setTheme] = useState(stored);
  useEffect(() => {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const apply = () => {
      document.documentElement.dataset.theme = theme === "auto" ? (dark.matches ? "dark" : "light") : theme;
      dispatchEvent(new Event("themechange"));
    };
    apply();
    dark.addEventListener("change", apply);
    try {
      localStorage.setItem("fltlab-theme", theme);
    } catch {
      // A page from disk may have no storage: the choice then holds until it is closed.
    }
    return () => dark.removeEventListener("change", apply);
  }, [theme]);
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  return (
    <button type="button" class="small theme" onClick={() => setTheme(next)} aria-label={`colours: ${theme}; change to ${next}`}>
      {theme === "auto" ? "◐" : theme === "light" ? "○" : "●"}
    </button>
  );
}

function stored(): string {
  try {
    const theme = localStorage.getItem("fltlab-theme") ?? "auto";
    return THEMES.includes(theme) ? theme : "auto";
  } catch {
    return "auto";
  }
}
