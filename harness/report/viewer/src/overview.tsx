// What happened, first: the outcome in one sentence, what went wrong and where, what changed, what it says of the contract.
import { type Outcome, OUTCOME_WORDS, type Report, type Trouble, VERDICTS, add, changeOf, pastOf, plural, seconds } from "./data";
import { Glyph, Link, RuleLink, day, tone } from "./parts";
import { Name } from "./tests";

const SHOWN = 6;
const ORDER: Outcome[] = ["failed", "error", "flaky", "not_witnessed", "skipped", "passed"];

export function Overview({ report }: { report: Report }) {
  const { summary, run } = report;
  const guests = [...new Set(report.tests.map((test) => test.guest).filter(Boolean))];
  return (
    <div class="page">
      <section class={`verdict ${summary.failed ? "bad" : summary.errors ? "odd" : "good"}`}>
        <h1>{sentence(report)}</h1>
        <p class="quiet">
          {seconds(summary.seconds)} on {guests.join(", ") || "no guest"}
          {run.seed !== null && ` · seed ${run.seed}`}
          {Object.entries(summary.explored).map(([unit, { tried }]) => ` · ${tried.toLocaleString("en")} ${unit} tried`)}
          {run.mutants.length > 0 && ` · with the contract broken on purpose: ${run.mutants.join(", ")}`}
        </p>
        <Bar report={report} />
      </section>
      {report.troubles.length > 0 && (
        <section>
          <h2>What went wrong</h2>
          <ol class="troubles">
            {report.troubles
              .map((trouble, place) => ({ trouble, number: place + 1 }))
              .sort((a, b) => b.trouble.tests.length - a.trouble.tests.length)
              .map(({ trouble, number }) => (
                <TroubleCard key={number} report={report} trouble={trouble} number={number} />
              ))}
          </ol>
        </section>
      )}
      <Changes report={report} />
      <ContractSummary report={report} />
      <Suites report={report} />
    </div>
  );
}

function sentence({ summary, troubles }: Report): string {
  if (!summary.tests) return "No test was run";
  const wrong = summary.failed + summary.errors;
  if (!wrong) {
    const other = summary.skipped + summary.not_witnessed + summary.flaky;
    return other ? `${summary.passed} of ${summary.tests} tests passed, none failed` : `All ${summary.tests} tests passed`;
  }
  const parts = [];
  if (summary.failed) parts.push(`${summary.failed} of ${summary.tests} tests failed`);
  if (summary.errors) parts.push(`${plural(summary.errors, "test")} ended in an error`);
  const causes = wrong > 1 ? `: ${troubles.length === 1 ? "one trouble" : `${troubles.length} troubles`}` : "";
  return parts.join(", ") + causes;
}

function counts(report: Report): [Outcome, number][] {
  const { summary } = report;
  const by: Record<Outcome, number> = { ...summary, error: summary.errors } as never;
  return ORDER.map((outcome) => [outcome, by[outcome]]);
}

function Bar({ report }: { report: Report }) {
  const found = counts(report).filter(([, count]) => count > 0);
  return (
    <>
      <div class="bar" aria-hidden="true">
        {found.map(([outcome, count]) => (
          <span key={outcome} class={`fill ${tone(outcome)}`} style={{ flexGrow: count }} />
        ))}
      </div>
      <ul class="legend">
        {found.map(([outcome, count]) => (
          <li key={outcome}>
            <Link to={{ view: "tests", outcome }} class={`word ${tone(outcome)}`}>
              <Glyph word={outcome} />
              <b>{count}</b> {OUTCOME_WORDS[outcome]}
            </Link>
          </li>
        ))}
      </ul>
    </>
  );
}

function TroubleCard({ report, trouble, number }: { report: Report; trouble: Trouble; number: number }) {
  const first = report.tests[trouble.tests[0]];
  const common = first.rules.filter((rule) => trouble.tests.every((test) => report.tests[test].rules.includes(rule)));
  const rules = trouble.rules.length ? trouble.rules : trouble.blame === "assertion" ? common : [];
  return (
    <li class={`card ${tone(first.outcome)}`}>
      <p class="message">
        <Glyph word={first.outcome} />
        <Link to={{ test: first.nodeid }}>{trouble.message}</Link>
      </p>
      {rules.slice(0, 3).map((id) => {
        const rule = report.rules.find((item) => item.id === id);
        return (
          <p key={id} class="said">
            <RuleLink id={id} /> {rule?.statement}
          </p>
        );
      })}
      <p class="where">
        <span class="quiet">{plural(trouble.tests.length, "test")}: </span>
        {trouble.tests.slice(0, SHOWN).map((test, place) => (
          <span key={test}>
            {place > 0 && ", "}
            <Link to={{ test: report.tests[test].nodeid }}>
              <Name name={report.tests[test].name} />
            </Link>
          </span>
        ))}
        {trouble.tests.length > SHOWN && (
          <>
            {" and "}
            <Link to={{ view: "tests", trouble: String(number) }}>{trouble.tests.length - SHOWN} more</Link>
          </>
        )}
      </p>
      <p class="quiet">{since(report, trouble)}</p>
    </li>
  );
}

/** Whether this is new, as far as the run before tells. */
function since(report: Report, trouble: Trouble): string {
  if (!report.former.length) return "";
  const bad = (outcome: string) => outcome === "failed" || outcome === "error";
  const wrong = trouble.tests.filter((test) => {
    const before = pastOf(report, test)[0];
    return before && bad(before[0]);
  }).length;
  if (!wrong) return `new since the run ${report.former[0].id}`;
  const how = wrong === trouble.tests.length ? (wrong === 1 ? "it" : "all of them") : `${wrong} of them`;
  return `${how} went wrong in the run before too`;
}

function Changes({ report }: { report: Report }) {
  if (!report.former.length) return null;
  const groups = new Map<string, number[]>();
  report.tests.forEach((_, number) => {
    const change = changeOf(report, number);
    if (change) add(groups, change, number);
  });
  const before = report.former[0];
  return (
    <section>
      <h2>Since the run before</h2>
      {groups.size === 0 && (
        <p>
          Every test ended as in <code>{before.id}</code> ({day(before.started)}).
        </p>
      )}
      {groups.size > 0 && (
        <ul class="changes">
          {["newly failing", "mended", "otherwise", "new"]
            .filter((change) => groups.has(change))
            .map((change) => (
              <li key={change}>
                <Link to={{ view: "tests", change }}>
                  {plural(groups.get(change)!.length, "test")}{" "}
                  {change === "otherwise" ? "ended otherwise" : change === "new" ? "not in it" : change}
                </Link>
                {change !== "new" && (
                  <span class="quiet">
                    {": "}
                    {groups.get(change)!.slice(0, 3).map((test, place) => (
                      <span key={test}>
                        {place > 0 && ", "}
                        <Name name={report.tests[test].name} />
                      </span>
                    ))}
                    {groups.get(change)!.length > 3 && ", …"}
                  </span>
                )}
              </li>
            ))}
        </ul>
      )}
    </section>
  );
}

function ContractSummary({ report }: { report: Report }) {
  const cells = Object.values(report.verdicts).flatMap((guests) => Object.values(guests));
  if (!cells.length) return null;
  return (
    <section>
      <h2>What it says of the contract</h2>
      <ul class="legend wide">
        {VERDICTS.map((verdict) => [verdict, cells.filter((cell) => cell.verdict === verdict).length] as const)
          .filter(([, count]) => count > 0)
          .map(([verdict, count]) => (
            <li key={verdict}>
              <Link to={{ view: "contract", verdict }} class={`word ${tone(verdict)}`}>
                <Glyph word={verdict} />
                <b>{count}</b> {verdict}
              </Link>
            </li>
          ))}
      </ul>
      <p class="quiet">
        <b>proven</b>: a test of the rule passed, and a deliberate break of the rule is known to turn that test red.{" "}
        <b>passed</b>: without that knowledge.
      </p>
    </section>
  );
}

function Suites({ report }: { report: Report }) {
  const suites = [...new Set(report.tests.map((test) => test.suite))].sort();
  return (
    <section>
      <h2>Suites</h2>
      <div class="scroll" tabIndex={0} role="region" aria-label="suites">
        <table class="numbers">
          <thead>
            <tr>
              <th scope="col">suite</th>
              <th scope="col">tests</th>
              {ORDER.map((outcome) => (
                <th key={outcome} scope="col">
                  {OUTCOME_WORDS[outcome]}
                </th>
              ))}
              <th scope="col">time</th>
              {report.coverage && <th scope="col">lines</th>}
            </tr>
          </thead>
          <tbody>
            {suites.map((suite) => {
              const tests = report.tests.filter((test) => test.suite === suite);
              return (
                <tr key={suite}>
                  <th scope="row">
                    <Link to={{ view: "tests", suite }}>{suite}</Link>
                  </th>
                  <td>{tests.length}</td>
                  {ORDER.map((outcome) => {
                    const count = tests.filter((test) => test.outcome === outcome).length;
                    return (
                      <td key={outcome} class={count ? tone(outcome) : "none"}>
                        {count}
                      </td>
                    );
                  })}
                  <td>{seconds(tests.reduce((sum, test) => sum + test.seconds, 0))}</td>
                  {report.coverage && <td>{report.coverage.suites[suite] ?? ""}</td>}
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </section>
  );
}

