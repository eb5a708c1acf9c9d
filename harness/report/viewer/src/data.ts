// The run's document and the traces, as harness/report/html.py and picture.py write them.

export type Outcome = "passed" | "failed" | "error" | "skipped" | "not_witnessed" | "flaky";
export type Verdict =
  | "violated"
  | "failed"
  | "not decided"
  | "proven"
  | "passed"
  | "not witnessed"
  | "not run";

export const OUTCOMES: Outcome[] = ["failed", "error", "flaky", "not_witnessed", "skipped", "passed"];
export const VERDICTS: Verdict[] = [
  "violated",
  "failed",
  "not decided",
  "proven",
  "passed",
  "not witnessed",
  "not run",
];
export const OUTCOME_WORDS: Record<Outcome, string> = {
  passed: "passed",
  failed: "failed",
  error: "error",
  skipped: "skipped",
  not_witnessed: "not witnessed",
  flaky: "flaky",
};

export interface Section {
  kind: string;
  text: string;
  title: string;
}

export interface Test {
  nodeid: string;
  outcome: Outcome;
  seconds: number;
  suite: string;
  name: string;
  guest: string;
  rules: string[];
  stack: string[];
  witnesses: { text: string; seen: boolean }[];
  message: string;
  sections: Section[];
  blame: string | null;
  violated: string[];
  cause: string;
  folder: string | null;
  /** What trying it under many schedules, or with many seeds, has shown; empty where that was not asked for. */
  schedules: string;
  trace: boolean;
  left_out: boolean;
}

export interface Rule {
  id: string;
  statement: string;
  source: string;
  address: string;
  area: string;
  kind: string;
  guarded: boolean;
}

export interface Trouble {
  message: string;
  rules: string[];
  tests: number[];
  blame: string | null;
}

export interface SourceFile {
  name: string;
  lines: Record<string, number>;
  /** The jumps of a line: how often not taken, and taken; null for one that was never reached. */
  branches: Record<string, ([number, number] | null)[]>;
  hit: number;
  ways: number;
  gone: number;
  text: string[];
}

export interface Coverage {
  drivers: Record<string, string[]>;
  without: Record<string, string>;
  /** How much of the lines of its drivers each suite ran. */
  suites: Record<string, string>;
  files: SourceFile[];
}

export interface Cell {
  verdict: Verdict;
  suites: Record<string, Verdict>;
  tests: number[];
}

export interface Guest {
  name: string;
  kind: string;
  image_sha256: string;
  qemu: string;
  accelerator: string;
  notice: string;
}

export interface FormerRun {
  id: string;
  started: string;
  tests: ([Outcome, number] | null)[];
}

export interface Report {
  run: {
    id: string;
    started: string;
    finished: string | null;
    command: string[];
    versions: Record<string, string>;
    host: Record<string, string>;
    seed: number | null;
    mutants: string[];
    guests: Guest[];
    drivers: Record<string, string>;
  };
  summary: {
    tests: number;
    passed: number;
    failed: number;
    errors: number;
    skipped: number;
    not_witnessed: number;
    flaky: number;
    /** Of "schedules" and "seeds": how many were tried, and of how many tests they held or failed. */
    explored: Record<string, { tried: number; held: number; failed: number }>;
    seconds: number;
  };
  troubles: Trouble[];
  coverage: Coverage | null;
  rules: Rule[];
  verdicts: Record<string, Record<string, Cell>>;
  tests: Test[];
  former: FormerRun[];
}

/** One step: line, status, information, thread, begin, end (µs), outstanding, success, data in hexadecimal. */
export type Step = [number, string, number, number, number, number, number, number, string];

export interface Io {
  number: number;
  lines: string[];
  prepared: number;
  process: number;
  error: string;
  began: string;
  seconds: number;
  lost: number;
  held: Record<string, number>;
  steps: Step[];
}

export interface Mark {
  verdict: string;
  text: string;
  rule: string;
  driver: string;
  operation: number;
  callback: number;
  came: string[];
  must: string[];
}

export interface Picture {
  clock: string;
  /** `seen_by` says who has recorded its callbacks where that is not the minifilter itself. */
  lanes: { label: string; driver: string; altitude: string; seen_by?: string }[];
  ios: Io[];
  /** id, io, step, major, name, requester's process and thread, paging, generated */
  operations: number[][];
  callbacks: Record<string, number[]> & { details: number[][] };
  pended: [number, number, number, number][];
  /** time, io, operation, thread, text, before the test's own I/O */
  prints: [number, number, number, string, string, number][];
  notes: [string, string][];
  marks: Mark[];
  texts: string[];
}

/** Read a compressed document that stands in the page; null if it is not there. */
export async function unpack<T>(id: string): Promise<T | null> {
  const text = document.getElementById(id)?.textContent;
  if (!text) return null;
  const raw = atob(text.trim());
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return (await new Response(stream).json()) as T;
}

/** What a test came to in a former run, the newest first. */
export function pastOf(report: Report, test: number): ([Outcome, number] | null)[] {
  return report.former.map((run) => run.tests[test]);
}

export type Change = "newly failing" | "mended" | "new" | "otherwise" | "";

/** How a test differs from the newest former run that had it. */
export function changeOf(report: Report, number: number): Change {
  if (!report.former.length) return "";
  const before = pastOf(report, number).find((past) => past !== null);
  const now = report.tests[number].outcome;
  if (!before) return "new";
  if (before[0] === now) return "";
  const bad = (outcome: Outcome) => outcome === "failed" || outcome === "error";
  if (bad(now) && !bad(before[0])) return "newly failing";
  if (!bad(now) && bad(before[0])) return "mended";
  return "otherwise";
}

export function seconds(value: number): string {
  if (value >= 60) return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
  return `${value.toFixed(value < 10 ? 2 : 1)} s`;
}

export function plural(count: number, word: string): string {
  return `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
}

/** Put a value into its group. */
export function add<T>(groups: Map<string, T[]>, key: string, value: T): void {
  const group = groups.get(key);
  if (group) group.push(value);
  else groups.set(key, [value]);
}
