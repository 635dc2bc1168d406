// Programs that others wrote list the tools of the service: with nothing but its address, where a person lets each in
// with a real browser, and with the key of a client in a header.  check.mjs ORIGIN CLIENT KEY
// programs.json says which programs are tested, and drivers.mjs what a person does in each.

import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { equal, inBrowser, ok } from "../browser/browser.mjs";
import { DRIVERS } from "./drivers.mjs";
import { PATIENCE, Program } from "./program.mjs";

const [origin, client, key] = process.argv.slice(2);
const url = `${origin}/mcp`;
const AT_ONCE = 4;

// The protocol's conformance suite is one more program that is let in. It has no newest version: that is a draft.
const SUITE = {
  row: { package: "@modelcontextprotocol/conformance", version: "", folder: "mcp-clients", identity: "registration" },
  way: "address",
};

/** Every pair of a program and a way in that is tested. */
function chosen() {
  const rows = JSON.parse(readFileSync(new URL("programs.json", import.meta.url), "utf8"));
  const pairs = rows.flatMap((row) => ["address", "key"].filter((way) => row[way] === "tested").map((way) => ({ row, way })));
  for (const { row } of pairs) ok(DRIVERS[row.package], `drivers.mjs has nothing for ${row.package}`);
  return process.env.MCP_PROGRAMS_IN ? pairs : [SUITE, ...pairs];
}

/** A program as a report names it. scripts/clients-newest prints the versions of the newest ones. */
const named = ({ package: name, version, folder }) => `${name} ${process.env.MCP_PROGRAMS_IN ? `in ${folder}` : version}`;

/** What a program starts as the browser tells this script the address to open. Each has its own. */
class Browsers {
  #opened = [];

  async listen() {
    this.server = createServer(async (request, response) => {
      const chunks = await request.toArray();
      response.end();
      this.#opened[request.url.slice(1)](Buffer.concat(chunks).toString());
    });
    await new Promise((ready) => this.server.listen(0, "127.0.0.1", ready));
  }

  /** Adds a browser to the home of a person, who does this with an address. */
  add(home, open) {
    const address = `http://127.0.0.1:${this.server.address().port}/${this.#opened.push(open) - 1}`;
    const path = join(home, "bin/xdg-open");
    writeFileSync(path, `#!/bin/sh\nexec curl --silent --data-raw "$1" ${address}\n`);
    chmodSync(path, 0o755);
  }
}

/** The person opens the page, and lets the program in. Returns the parameters of the program's request. */
async function letIn(browser, address) {
  const context = await browser.newContext();
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  await page.goto(address);
  await page.getByLabel("Client id").fill(client);
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Let it in" }).click();
  // Some programs end before their page has all that it names.
  await page.waitForURL((now) => now.origin !== origin, { waitUntil: "commit" });
  await context.close();
  return new URL(address).searchParams;
}

/** Lets a program list the tools, and says how it got in. */
async function check({ row, way }, browser, browsers, apiKey, expected) {
  const [started, logins, home] = [Date.now(), [], mkdtempSync(join(place, "home-"))];
  const program = new Program(row, home, url, way === "key" ? apiKey : undefined);
  mkdirSync(join(home, "bin"));
  browsers.add(home, (address) => logins.push(letIn(browser, address).catch((error) => program.fail(error))));
  try {
    const tools = await Promise.race([DRIVERS[row.package](program), program.failed]);
    const requests = await Promise.all(logins);
    const ids = requests.map((request) => request.get("client_id"));
    const identities = ids.map((id) => (id.startsWith("dcr_") ? "registration" : id));
    equal(identities, way === "key" ? [] : [row.identity], "how it says who it is");
    if (tools !== "connected") equal(tools.toSorted(), expected, "the tools");
    const seconds = ((Date.now() - started) / 1000).toFixed(1);
    const returned = requests.map((request) => `, returned to ${request.get("redirect_uri")}`);
    console.log(`${named(row)} by ${way} ${identities}${returned}: ${seconds} s`);
  } catch (error) {
    throw new Error(`${named(row)} by ${way}: ${error.stack}\n${program.output()}`);
  } finally {
    program.end();
  }
}

/** Adds a client for the programs with a key, and returns the key. */
async function addClient() {
  const form = { grant_type: "client_credentials", client_id: client, client_secret: key, scope: "operator" };
  const login = await fetch(`${origin}/oauth/token`, { method: "POST", body: new URLSearchParams(form) });
  const headers = { authorization: `Bearer ${(await login.json()).access_token}`, "content-type": "application/json" };
  const body = JSON.stringify({ clientId: "programs" });
  return (await (await fetch(`${origin}/api/clients`, { method: "POST", headers, body })).json()).apiKey;
}

/** The names of the tools, as the service lists them. */
async function toolNames(apiKey) {
  const headers = { authorization: `Bearer ${apiKey}`, "content-type": "application/json" };
  headers.accept = "application/json, text/event-stream";
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" });
  const { result } = await (await fetch(url, { method: "POST", headers, body })).json();
  return result.tools.map((tool) => tool.name).toSorted();
}

const place = mkdtempSync(join(tmpdir(), "mcp-programs-"));
const [browsers, waiting, failures] = [new Browsers(), chosen(), []];
const apiKey = await addClient();
const expected = await toolNames(apiKey);
ok(waiting.length > 0 && expected.length > 10, "there is nothing to check");
await browsers.listen();
await inBrowser(async (browser) => {
  const next = async () => {
    for (let pair = waiting.shift(); pair; pair = waiting.shift()) {
      await check(pair, browser, browsers, apiKey, expected).catch((error) => failures.push(error.message));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, next));
});
rmSync(place, { recursive: true, force: true });
for (const failure of failures) console.error(failure);
process.exit(failures.length);
