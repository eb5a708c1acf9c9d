// Where the verdicts come from, and the runs before.
import { type Outcome, type Report, plural } from "./data";
import { Glyph, day } from "./parts";

export function RunView({ report }: { report: Report }) {
  const { run } = report;
  const facts: [string, string][] = [
    ["command", run.command.join(" ")],
    ["began", day(run.started)],
    ["ended", run.finished ? day(run.finished) : "not: it was interrupted"],
    ["host", Object.values(run.host).join(", ")],
    ...(run.seed !== null ? [["seed", String(run.seed)] as [string, string]] : []),
    ...(run.mutants.length ? [["mutants", run.mutants.join(" ")] as [string, string]] : []),
    ...run.guests.map(
      (guest) =>
        [
          `guest ${guest.name}`,
          [guest.kind, guest.qemu && `QEMU ${guest.qemu}`, guest.accelerator, guest.image_sha256 && `image ${guest.image_sha256}`]
            .filter(Boolean)
            .join(", "),
        ] as [string, string],
    ),
    ...Object.entries(run.versions),
    ...Object.entries(run.drivers).map(([name, hash]) => [`driver ${name}`, hash] as [string, string]),
  ];
  return (
    <div class="page">
      <h1>Where this comes from</h1>
      <dl class="facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              <code>{value}</code>
            </dd>
          </div>
        ))}
      </dl>
      <h2>The runs before</h2>
      {report.former.length === 0 && <p>There was no run beside this one that ran tests of it before.</p>}
      {report.former.length > 0 && <Former report={report} />}
    </div>
  );
}

function Former({ report }: { report: Report }) {
  const rows = [
    { id: report.run.id, started: report.run.started, tests: report.tests.map((test) => [test.outcome, test.seconds] as [Outcome, number]) },
    ...report.former,
  ];
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="the runs before">
      <table class="numbers">
        <thead>
          <tr>
            <th scope="col">run</th>
            <th scope="col">began</th>
            <th scope="col">tests of this run</th>
            <th scope="col">passed</th>
            <th scope="col">went wrong</th>
            <th scope="col">seconds</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((run, place) => {
            const tests = run.tests.filter((test) => test !== null);
            const wrong = tests.filter(([outcome]) => outcome === "failed" || outcome === "error").length;
            return (
              <tr key={run.id}>
                <th scope="row">
                  <code>{run.id}</code> {place === 0 && <span class="quiet">this one</span>}
                </th>
                <td>{day(run.started)}</td>
                <td>{tests.length}</td>
                <td>{tests.filter(([outcome]) => outcome === "passed").length}</td>
                <td class={wrong ? "tone-failed" : "none"}>{wrong}</td>
                <td>{tests.reduce((sum, test) => sum + test[1], 0).toFixed(1)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

/** One test's outcomes in the runs before, the oldest first, and now. */
export function Past({ report, number }: { report: Report; number: number }) {
  if (!report.former.length) return null;
  const past = report.former.map((run) => ({ id: run.id, was: run.tests[number] })).reverse();
  const words = past.map(({ id, was }) => `${id}: ${was ? was[0].replace("_", " ") : "not run"}`).join("; ");
  return (
    <span class="past" role="img" aria-label={`the ${plural(past.length, "run")} before, the oldest first: ${words}`} title={words}>
      {past.map(({ id, was }) => (was ? <Glyph key={id} word={was[0]} /> : <span key={id} class="glyph">·</span>))}
    </span>
  );
}
