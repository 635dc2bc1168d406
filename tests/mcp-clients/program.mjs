// A program that others wrote, with a home of its own. It runs with the environment of a person who has a desktop.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SECONDS = 240; // for all that a program does; on an idle machine each takes a few

/** The time in milliseconds that each step may take. Some programs give up after five seconds unless they are told. */
export const PATIENCE = 120_000;

export class Program {
  #children = [];
  #texts = [];

  constructor({ folder, package: name }, home, url, token) {
    const newest = process.env.MCP_PROGRAMS_IN;
    this.folder = newest ? join(ROOT, newest, folder, name) : join(ROOT, "target", folder);
    this.commands = join(this.folder, folder.endsWith("venv") ? "bin" : "node_modules/.bin");
    Object.assign(this, { home, url, token });
    this.failed = new Promise((_, reject) => (this.fail = reject));
    this.failed.catch(() => {});
    this.timer = setTimeout(() => this.fail(new Error(`it has not ended after ${SECONDS} seconds`)), SECONDS * 1000);
  }

  /** The path of a command that npm or pip has installed. */
  installed(name) {
    return join(this.commands, name);
  }

  /** Starts a command. It ends with the program. */
  start(command, parameters) {
    const environment = {
      HOME: this.home,
      PATH: [join(this.home, "bin"), join(process.execPath, ".."), "/usr/local/bin", "/usr/bin", "/bin"].join(delimiter),
      BROWSER: join(this.home, "bin/xdg-open"),
      LANG: "C.UTF-8",
      NO_PROXY: "*",
      MCP_AUTO_OPEN_ENABLED: "true", // the Inspector opens a browser without a terminal, too
      MCP_TIMEOUT: PATIENCE, // of Claude Code
      MCP_USE_ANONYMIZED_TELEMETRY: "false", // of mcp-use
      PYTHONDONTWRITEBYTECODE: "1",
      MCP_URL: this.url,
      PATIENCE: PATIENCE / 1000,
      ...(this.token && { TOKEN: this.token }),
    };
    const child = spawn(command, parameters, { cwd: this.home, env: environment, detached: true });
    this.#children.push(child);
    child.on("error", this.fail);
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => this.#texts.push(text));
    return child;
  }

  /** Runs a command to its end, and returns what it prints. */
  async run(command, ...parameters) {
    const child = this.start(command, parameters);
    child.stdin.end();
    let printed = "";
    child.stdout.setEncoding("utf8").on("data", (text) => (printed += text));
    const [code] = await once(child, "close");
    if (code !== 0) throw new Error(`${command} ${parameters.join(" ")} ended with ${code}`);
    return printed;
  }

  /** Runs a command to its end in a terminal, which some need to open a browser. */
  runInTerminal(...words) {
    return this.run("script", "--quiet", "--return", "--command", words.map((word) => `'${word}'`).join(" "), "/dev/null");
  }

  /** Starts a command that speaks JSON-RPC by lines. Returns what calls a method, and what sends a notification. */
  speak(command, ...parameters) {
    const child = this.start(command, parameters);
    const waiting = new Map();
    createInterface({ input: child.stdout }).on("line", (line) => {
      const message = line.startsWith("{") ? JSON.parse(line) : {};
      if (message.id !== undefined && !message.method) waiting.get(message.id)(message);
    });
    child.on("exit", (code) => this.fail(new Error(`it ended with ${code}`)));
    const send = (message) => child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
    const notify = (method, params) => send({ method, params });
    const call = async (method, params) => {
      const id = waiting.size;
      const answer = new Promise((resolve) => waiting.set(id, resolve));
      send({ id, method, params });
      const { result, error } = await answer;
      if (error) throw new Error(`${method}: ${JSON.stringify(error)}`);
      return result;
    };
    return { call, notify };
  }

  /** Waits until it has printed a text that this pattern matches, and returns that. */
  async printed(pattern) {
    for (;;) {
      const found = this.output().match(pattern);
      if (found) return found[0];
      await Promise.race([new Promise((again) => setTimeout(again, 50)), this.failed]);
    }
  }

  output() {
    return Buffer.concat(this.#texts.map((text) => Buffer.from(text))).toString();
  }

  /** Ends everything that it has started. */
  end() {
    clearTimeout(this.timer);
    for (const child of this.#children) {
      try {
        process.kill(-child.pid, "SIGKILL");
      } catch {
        // It has ended.
      }
    }
  }
}
