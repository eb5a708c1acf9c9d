// What ran of the drivers' sources: a table of the files, and the source of one with its hits.
import type { Coverage, Report, SourceFile } from "./data";
import { Link } from "./parts";
import type { Route } from "./route";

export function CoverageView({ report, route }: { report: Report; route: Route }) {
  const coverage = report.coverage;
  if (!coverage) {
    return (
      <div class="page">
        <h1>Coverage</h1>
        <p>This run did not measure it: fltlab run --coverage FILE does.</p>
      </div>
    );
  }
  const file = coverage.files.find((item) => item.name === route.file);
  return <div class="page wide">{file ? <Source file={file} coverage={coverage} /> : <Files coverage={coverage} />}</div>;
}

function Files({ coverage }: { coverage: Coverage }) {
  const short = shortened(coverage.files.map((file) => file.name));
  return (
    <>
      <h1>Coverage</h1>
      <p class="quiet">
        Lines of the drivers' own sources that ran, and the ways that conditional jumps of their machine code went, over all tests
        of this run.
      </p>
      <div class="scroll" tabIndex={0} role="region" aria-label="coverage of the files">
        <table class="numbers">
          <thead>
            <tr>
              <th scope="col">file</th>
              <th scope="col">drivers</th>
              <th scope="col">lines</th>
              <th scope="col">of</th>
              <th scope="col">branches</th>
              <th scope="col">of</th>
            </tr>
          </thead>
          <tbody>
            {coverage.files.map((file) => {
              const drivers = Object.keys(coverage.drivers).filter((name) => coverage.drivers[name].includes(file.name));
              const lines = Object.keys(file.lines).length;
              return (
                <tr key={file.name}>
                  <th scope="row">
                    <Link to={{ view: "coverage", file: file.name }}>{short(file.name)}</Link>
                  </th>
                  <td>{drivers.length > 2 ? `${drivers.length} drivers` : drivers.join(", ")}</td>
                  <td>{percent(file.hit, lines)}</td>
                  <td>{lines}</td>
                  <td>{percent(file.gone, file.ways)}</td>
                  <td>{file.ways}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      {Object.entries(coverage.without).map(([driver, reason]) => (
        <p key={driver}>
          <b>{driver}</b>: no coverage, {reason}.
        </p>
      ))}
    </>
  );
}

function Source({ file, coverage }: { file: SourceFile; coverage: Coverage }) {
  const lines = Object.keys(file.lines).length;
  const text = file.text.length > 1 ? file.text : [];
  const last = Math.max(text.length, ...Object.keys(file.lines).map(Number));
  return (
    <>
      <h1>{shortened(coverage.files.map((item) => item.name))(file.name)}</h1>
      <p>
        <Link to={{ view: "coverage" }}>all files</Link> · {percent(file.hit, lines)} of {lines} lines, {percent(file.gone, file.ways)} of{" "}
        {file.ways} branches
      </p>
      {!text.length && <p class="quiet">The source itself is not on the machine that made this page.</p>}
      <div class="scroll" tabIndex={0} role="region" aria-label="source">
        <table class="source">
          <thead>
            <tr>
              <th scope="col">line</th>
              <th scope="col">hits</th>
              <th scope="col">branches</th>
              <th scope="col">source</th>
            </tr>
          </thead>
          <tbody>
            {Array.from({ length: last }, (_, at) => at + 1).map((number) => {
              const hits = file.lines[number];
              const tone = hits === undefined ? "" : hits ? "tone-passed" : "tone-failed";
              return (
                <tr key={number}>
                  <th scope="row">{number}</th>
                  <td class={tone}>{hits ?? ""}</td>
                  <td title={ways(file, number)}>{marks(file, number)}</td>
                  <td>
                    <code>{text[number - 1] ?? ""}</code>
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </>
  );
}

/** One letter for each jump of a line: both ways, only taken, only not taken, never reached. */
function marks(file: SourceFile, line: number): string {
  return (file.branches[line] ?? [])
    .map((jump) => (!jump ? "·" : jump[0] && jump[1] ? "B" : jump[1] ? "T" : "N"))
    .join("");
}

function ways(file: SourceFile, line: number): string {
  return (file.branches[line] ?? [])
    .map((jump) => (jump ? `taken ${jump[1]} times, not taken ${jump[0]} times` : "never reached"))
    .join("; ");
}

function percent(part: number, whole: number): string {
  return whole ? `${Math.floor((100 * part) / whole)} %` : "–";
}

/** Names without the directories that all of them have in common. */
function shortened(names: string[]): (name: string) => string {
  const first = names[0]?.split("/").slice(0, -1) ?? [];
  const common = first.findIndex((part, at) => names.some((name) => name.split("/")[at] !== part));
  const cut = common < 0 ? first.length : common;
  return (name) => name.split("/").slice(cut).join("/") || name;
}
