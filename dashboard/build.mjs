// Bundles src/ into a directory: build.mjs DIRECTORY
// The result is the same on every machine: the versions are those of package-lock.json, which scripts/test installs under
// target/dashboard.

import { createRequire } from "node:module";
import { copyFile, mkdir, readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const installed = resolve(here, "../target/dashboard");
const { build } = createRequire(`${installed}/`)("esbuild");
const out = resolve(process.argv[2] ?? join(here, "dist"));

// The licence of Preact wants its text beside every copy.
const licence = await readFile(join(installed, "node_modules/preact/LICENSE"), "utf8");

await mkdir(out, { recursive: true });
await build({
  absWorkingDir: here,
  entryPoints: { app: "src/main.jsx" },
  outdir: out,
  bundle: true,
  minify: true,
  charset: "utf8",
  format: "esm",
  target: ["chrome109", "firefox115", "safari16"],
  jsx: "automatic",
  jsxImportSource: "preact",
  nodePaths: [join(installed, "node_modules")],
  banner: { js: `/* Contains Preact, https://preactjs.com.\n${licence.trim()} */` },
  logLevel: "warning",
});
await copyFile(join(here, "src/index.html"), join(out, "index.html"));
