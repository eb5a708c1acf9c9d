// Small parts that several views use.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { type Outcome, OUTCOME_WORDS, type Verdict } from "./data";
import { type Route, link } from "./route";

const GLYPHS: Record<string, string> = {
  passed: "✓",
  proven: "✓",
  failed: "✕",
  violated: "✕",
  error: "!",
  "not decided": "!",
  not_witnessed: "?",
  "not witnessed": "?",
  flaky: "~",
  skipped: "–",
  "not run": "–",
};

/** The class that colours a word: outcomes and verdicts share theirs where they mean the same. */
export function tone(word: string): string {
  return `tone-${word.replace(/[ _]/g, "-")}`;
}

export function Glyph({ word }: { word: string }) {
  return (
    <span class={`glyph ${tone(word)}`} aria-hidden="true">
      {GLYPHS[word] ?? "·"}
    </span>
  );
}

export function OutcomeWord({ outcome }: { outcome: Outcome }) {
  return (
    <span class={`word ${tone(outcome)}`}>
      <Glyph word={outcome} />
      {OUTCOME_WORDS[outcome]}
    </span>
  );
}

export function VerdictWord({ verdict }: { verdict: Verdict }) {
  return (
    <span class={`word ${tone(verdict)}`}>
      <Glyph word={verdict} />
      {verdict}
    </span>
  );
}

export function Link({ to, children, ...more }: { to: Partial<Route>; children: ComponentChildren; class?: string }) {
  return (
    <a href={link(to)} {...more}>
      {children}
    </a>
  );
}

export function RuleLink({ id }: { id: string }) {
  return (
    <Link to={{ view: "contract", rule: id }} class="rule">
      {id}
    </Link>
  );
}

export function Copy({ text, what }: { text: string; what: string }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  return (
    <button type="button" class="small" onClick={copy} aria-label={`copy ${what}`}>
      <span aria-live="polite">{done ? "copied" : "copy"}</span>
    </button>
  );
}

export function day(time: string): string {
  return time.replace("T", " ").replace(/:\d\d(\.\d+)?(\+00:00|Z)$/, " UTC");
}
