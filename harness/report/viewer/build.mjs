// Builds dist/viewer.js and dist/viewer.css, which are committed: whoever installs fltlab needs no node.
// The first line of both is the hash of what they were built from; tests/report/test_viewer_build.py computes it again.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const sources = [
  "build.mjs",
  "package-lock.json",
  "package.json",
  "tsconfig.json",
  ...readdirSync("src", { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`.replaceAll("\\", "/"))
    .sort(),
];
const hash = createHash("sha256");
for (const source of sources) hash.update(`${source}\0`).update(readFileSync(source)).update("\0");
const banner = `/* built from ${hash.digest("hex")} */`;

const result = await build({
  entryPoints: { viewer: "src/main.tsx" },
  bundle: true,
  minify: true,
  write: false,
  outdir: "dist",
  format: "iife",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  charset: "utf8",
  legalComments: "none",
  loader: { ".css": "css" },
});
for (const file of result.outputFiles) {
  // Nothing in it may end the script element that it stands in.
  const text = file.text.replaceAll("</script", "<\\/script");
  writeFileSync(file.path, `${banner}\n${text}`);
  console.log(file.path.split("/").slice(-2).join("/"), text.length);
}
