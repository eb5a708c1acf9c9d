// Where the reader is: everything is in the address' fragment, so that any view can be linked to.
import { useEffect, useState } from "preact/hooks";

export interface Route {
  view: "overview" | "tests" | "contract" | "coverage" | "run";
  test: string;
  op: number;
  event: number;
  q: string;
  outcome: string;
  suite: string;
  guest: string;
  rule: string;
  verdict: string;
  change: string;
  /** A file of source, in the coverage. */
  file: string;
  /** The number of a trouble: only the tests in which it showed. */
  trouble: string;
}

const EMPTY: Route = {
  view: "overview",
  test: "",
  op: 0,
  event: 0,
  q: "",
  outcome: "",
  suite: "",
  guest: "",
  rule: "",
  verdict: "",
  change: "",
  file: "",
  trouble: "",
};
const VIEWS = ["overview", "tests", "contract", "coverage", "run"];

export function parse(hash: string): Route {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const route: Route = { ...EMPTY };
  for (const key of ["test", "q", "outcome", "suite", "guest", "rule", "verdict", "change", "file", "trouble"] as const) {
    route[key] = given.get(key) ?? "";
  }
  route.op = Number(given.get("op")) || 0;
  route.event = Number(given.get("event")) || 0;
  const view = given.get("view") ?? "";
  route.view = (VIEWS.includes(view) ? view : route.test ? "tests" : "overview") as Route["view"];
  return route;
}

/** A link to a route: only what is not at its default is in it. */
export function link(route: Partial<Route>): string {
  const parts: string[] = [];
  for (const key of Object.keys(EMPTY) as (keyof Route)[]) {
    const value = route[key];
    if (!value || (key === "view" && (value === "overview" || (value === "tests" && route.test)))) continue;
    // Brackets, colons and slashes of a test's name may stand in a fragment as they are.
    parts.push(`${key}=${encodeURIComponent(String(value)).replace(/%(2F|3A|5B|5D|2C)/g, decodeURIComponent)}`);
  }
  return `#${parts.join("&")}`;
}

/** Go to a route; `replace` leaves no step in the history, for what is typed or stepped through. */
export function go(route: Partial<Route>, replace = false): void {
  const hash = link(route);
  if (hash === location.hash || (hash === "#" && !location.hash)) return;
  history[replace ? "replaceState" : "pushState"](null, "", hash === "#" ? location.pathname + location.search : hash);
  dispatchEvent(new HashChangeEvent("hashchange"));
}

export function useRoute(): Route {
  const [route, setRoute] = useState(() => parse(location.hash));
  useEffect(() => {
    const follow = () => setRoute(parse(location.hash));
    addEventListener("hashchange", follow);
    addEventListener("popstate", follow);
    return () => {
      removeEventListener("hashchange", follow);
      removeEventListener("popstate", follow);
    };
  }, []);
  return route;
}
