// The TypeScript SDK with a token, or with nothing but the address: then it registers itself, and opens the browser.
// Prints the names of the tools.  typescript_sdk.mjs PACKAGES

import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { createRequire } from "node:module";

// Node looks for packages beside a file, and scripts/test installs them elsewhere.
const require = createRequire(process.argv[2]);
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");
const { auth, UnauthorizedError } = require("@modelcontextprotocol/sdk/client/auth.js");

const { MCP_URL, TOKEN, BROWSER } = process.env;
const url = new URL(MCP_URL);
const agent = new Client({ name: "agent", version: "1.0.0" });

async function printTools() {
  const { isError } = await agent.callTool({
    name: "scheduleConversation",
    arguments: { conversationText: "x", scheduledTime: "2035-01-01T00:00:00Z", endpoint: "https://example.com/hook" },
  });
  if (isError) throw new Error("the conversation is not scheduled");
  console.log(JSON.stringify((await agent.listTools()).tools.map((tool) => tool.name)));
  await agent.close();
}

if (TOKEN) {
  await agent.connect(new StreamableHTTPClientTransport(url, { requestInit: { headers: { Authorization: `Bearer ${TOKEN}` } } }));
  await printTools();
  process.exit();
}

const returned = createServer().listen(0, "127.0.0.1");
await once(returned, "listening");
const redirectUrl = `http://127.0.0.1:${returned.address().port}/callback`;

let client, tokens, verifier;
const authProvider = {
  redirectUrl,
  clientMetadata: { client_name: "An agent in TypeScript", redirect_uris: [redirectUrl] },
  clientInformation: () => client,
  saveClientInformation: (information) => { client = information; },
  tokens: () => tokens,
  saveTokens: (saved) => { tokens = saved; },
  codeVerifier: () => verifier,
  saveCodeVerifier: (saved) => { verifier = saved; },
  redirectToAuthorization: (address) => { execFile(BROWSER, [address.href]); },
};

const first = new StreamableHTTPClientTransport(url, { authProvider });
const request = once(returned, "request");
try {
  await agent.connect(first);
  throw new Error("no login was needed");
} catch (error) {
  if (!(error instanceof UnauthorizedError)) throw error;
}
const [{ url: target }, response] = await request;
response.end("You are logged in.");
await first.finishAuth(new URL(target, redirectUrl).searchParams.get("code"));
await agent.connect(new StreamableHTTPClientTransport(url, { authProvider }));
const before = tokens.refresh_token;
if ((await auth(authProvider, { serverUrl: url })) !== "AUTHORIZED" || before === tokens.refresh_token) {
  throw new Error("the login is not renewed");
}
if (tokens.scope !== "conversations:read conversations:write") throw new Error(`the scope is ${tokens.scope}`);
await printTools();
returned.close();
returned.closeAllConnections();
