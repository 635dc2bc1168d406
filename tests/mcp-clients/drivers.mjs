// What a person does in each program to add the service and to see its tools, by the names of the packages. Each returns
// the names of the tools, or "connected" if the program shows no more. Those that can call a tool schedule a conversation.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PATIENCE } from "./program.mjs";

const HERE = new URL(".", import.meta.url).pathname;
const CHAT = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "chat", version: "1" } };
const CONVERSATION = { conversationText: "x", scheduledTime: "2035-01-01T00:00:00Z", endpoint: "https://example.com/hook" };

const names = ({ tools }) => tools.map((tool) => tool.name);
const header = (program) => (program.token ? ["--header", `Authorization: Bearer ${program.token}`] : []);

/** A program of our own that uses a package. It prints the names of the tools as JSON. */
const inPython = (script) => async (program) =>
  JSON.parse(await program.run(program.installed("python"), join(HERE, script)));
const inNode = (script) => async (program) =>
  JSON.parse(await program.run(process.execPath, join(HERE, script), join(program.folder, "index.js")));

/** Fails if the output of a program does not have a text. */
function shows(output, text) {
  if (!output.includes(text)) throw new Error(`it does not show ${text}`);
  return "connected";
}

export const DRIVERS = {
  mcp: inPython("python_sdk.py"),
  fastmcp: inPython("fastmcp_client.py"),
  "langchain-mcp-adapters": inPython("langchain_adapters.py"),
  "pydantic-ai-slim": inPython("pydantic_ai_client.py"),
  "openai-agents": inPython("openai_agents.py"),
  "mcp-use": inPython("mcp_use_client.py"),
  "@modelcontextprotocol/sdk": inNode("typescript_sdk.mjs"),
  "@modelcontextprotocol/client": inNode("typescript_client.mjs"),
  "@ai-sdk/mcp": inNode("ai_sdk.mjs"),
  "@langchain/mcp-adapters": inNode("langchain_adapters.mjs"),
  "@openai/agents": inNode("openai_agents.mjs"),

  /** The scenarios for authorization servers. The program is one that has registered itself. */
  async "@modelcontextprotocol/conformance"(program) {
    const origin = new URL(program.url).origin;
    const redirect_uris = ["http://127.0.0.1:3000/callback"];
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ client_name: "Conformance", redirect_uris });
    const { client_id } = await (await fetch(`${origin}/oauth/register`, { method: "POST", headers, body })).json();
    const to = ["--url", origin, "--resource", program.url, "--client-id", client_id, "--port", "3000"];
    const suite = program.run(program.installed("conformance"), "authorization", ...to);
    const address = await program.printed(/^http:\S+\/oauth\/authorize\S+$/m);
    program.start(join(program.home, "bin/xdg-open"), [address]);
    const output = await suite;
    shows(output, "✓ authorization-server-metadata-endpoint");
    return shows(output, "✓ authorization-code-grant");
  },

  async "mcp-remote"(program) {
    const to = [program.url, "--auth-timeout", `${PATIENCE / 1000}`, ...header(program)];
    const { call, notify } = program.speak(program.installed("mcp-remote"), ...to);
    await call("initialize", CHAT);
    notify("notifications/initialized");
    const { isError } = await call("tools/call", { name: "scheduleConversation", arguments: CONVERSATION });
    if (isError) throw new Error("the conversation is not scheduled");
    return names(await call("tools/list", {}));
  },

  async "@modelcontextprotocol/inspector"(program) {
    const inspector = program.installed("mcp-inspector");
    const to = ["--cli", program.url, "--transport", "http", "--connect-timeout", `${PATIENCE}`, ...header(program)];
    return names(JSON.parse(await program.run(inspector, ...to, "--method", "tools/list")));
  },

  async "opencode-linux-x64"(program) {
    const opencode = program.installed("../opencode-linux-x64/bin/opencode");
    const server = { type: "remote", url: program.url, timeout: PATIENCE };
    if (program.token) Object.assign(server, { oauth: false, headers: { Authorization: `Bearer ${program.token}` } });
    mkdirSync(join(program.home, ".config/opencode"), { recursive: true });
    const settings = JSON.stringify({ autoupdate: false, mcp: { scheduler: server } });
    writeFileSync(join(program.home, ".config/opencode/opencode.json"), settings);
    if (!program.token) await program.run(opencode, "mcp", "auth", "scheduler");
    return shows(await program.run(opencode, "mcp", "list"), "✓ scheduler");
  },

  async "@google/gemini-cli"(program) {
    const server = { httpUrl: program.url, headers: { Authorization: `Bearer ${program.token}` }, timeout: PATIENCE };
    const quiet = { general: { enableAutoUpdate: false }, privacy: { usageStatisticsEnabled: false } };
    const trusting = { security: { folderTrust: { enabled: false } } }; // else it starts no server here
    mkdirSync(join(program.home, ".gemini"));
    const settings = JSON.stringify({ ...quiet, ...trusting, mcpServers: { scheduler: server } });
    writeFileSync(join(program.home, ".gemini/settings.json"), settings);
    await program.run(program.installed("gemini"), "mcp", "list");
    return shows(program.output(), "✓ scheduler"); // it prints to standard error
  },

  async "@anthropic-ai/claude-code"(program) {
    const claude = program.installed("claude");
    await program.run(claude, "mcp", "add", "--transport", "http", "scheduler", program.url, ...header(program));
    if (!program.token) await program.runInTerminal(claude, "mcp", "login", "scheduler");
    return shows(await program.run(claude, "mcp", "list"), "Connected");
  },

  async "@openai/codex"(program) {
    const codex = program.installed("codex");
    const token = program.token ? ["--bearer-token-env-var", "TOKEN"] : [];
    await program.run(codex, "mcp", "add", "scheduler", "--url", program.url, ...token);
    const patient = ["--config", `mcp_servers.scheduler.startup_timeout_sec=${PATIENCE / 1000}`];
    const { call, notify } = program.speak(codex, ...patient, "app-server");
    await call("initialize", { clientInfo: { name: "chat", version: "1" } });
    notify("initialized");
    const { data } = await call("mcpServerStatus/list", {});
    return Object.keys(data.find((server) => server.name === "scheduler").tools);
  },
};
