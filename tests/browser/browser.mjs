// The browser of the tests: one process with an empty profile, which reaches nothing but this machine.

import { existsSync } from "node:fs";
import { createRequire } from "node:module";

// Node looks for packages beside a file, and scripts/test installs them elsewhere.
const require = createRequire(new URL("../../target/browser/", import.meta.url));
const { chromium } = require("playwright-core");
const axe = require("axe-core");

// scripts/test has the same list.
const BROWSERS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** The sizes of a window. */
export const DESKTOP = { width: 1280, height: 860 };
export const PHONE = { width: 360, height: 740 };

/** Runs checks in a new browser and ends it. */
export async function inBrowser(checks) {
  const browser = await chromium.launch({
    executablePath: BROWSERS.find(existsSync),
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    ],
  });
  try {
    await checks(browser);
  } finally {
    await browser.close();
  }
}

/** A new page, without cookies and storage of others. It records everything that must not happen. */
export async function newPage(browser, origin) {
  const context = await browser.newContext({
    viewport: DESKTOP,
    colorScheme: "light",
    reducedMotion: "reduce",
    timezoneId: "Europe/Berlin",
    locale: "en-GB",
  });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  const wrong = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && wrong.push(message.text()));
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol !== "data:" && url.origin !== origin) wrong.push(`a request to ${request.url()}`);
  });
  return Object.assign(page, { wrong });
}

/** Fails if the page has sent a request to another host, or written an error to the console. */
export function nothingWrong(page) {
  equal(page.wrong, [], "errors of the page and requests to other hosts");
}

/** Fails if axe finds a problem of accessibility. */
export async function accessible(page, where) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"] }));
  const found = violations.map(
    ({ id, nodes }) =>
      `${id}: ${nodes
        .slice(0, 3)
        .map((node) => node.html.slice(0, 200))
        .join(" ")}`,
  );
  equal(found, [], `violations of the rules of accessibility in ${where}`);
}

/** Fails if the page is wider than the window, so that people would have to scroll to the side. */
export async function fits(page, where) {
  const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, globalThis.innerWidth]);
  ok(wide <= window, `${where} is ${wide} pixels wide in a window of ${window}`);
}

export function ok(condition, message) {
  if (!condition) throw new Error(message);
}

export function equal(actual, expected, message) {
  const [a, e] = [actual, expected].map((value) => JSON.stringify(value));
  ok(a === e, `${message}\n  actual   ${a}\n  expected ${e}`);
}
