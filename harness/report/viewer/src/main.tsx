import "./style.css";
import { render } from "preact";
import { App } from "./app";
import { type Report, unpack } from "./data";

const place = document.getElementById("viewer")!;
unpack<Report>("run").then(
  (report) => {
    place.textContent = "";
    // A node id is kept as the test has it; a link can only hold what is well-formed.
    for (const test of report?.tests ?? []) test.nodeid = test.nodeid.toWellFormed();
    if (report) render(<App report={report} />, place);
    else place.textContent = "This page holds no run: it was cut short.";
  },
  (error) => {
    place.textContent = `The run in this page cannot be read: ${error}`;
  },
);
