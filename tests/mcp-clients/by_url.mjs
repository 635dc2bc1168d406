// The TypeScript SDK with nothing but the address: it registers itself, and opens the browser.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { auth, UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";

const url = new URL(process.env.MCP_URL);

// The browser of a user who lets the program in: opens the page, and sends its form.
async function letIn(address) {
  const page = await (await fetch(address)).text();
  const form = new URLSearchParams({ decision: "allow", client_id: process.env.CLIENT_ID, api_key: process.env.API_KEY });
  form.append("request", page.match(/name="request" value="([^"]*)"/)[1]);
  for (const [, scope] of page.matchAll(/name="scope" value="([^"]*)"/g)) form.append("scope", scope);
  const action = new URL(page.match(/action="([^"]*)"/)[1], address);
  const answer = await fetch(action, {
    method: "POST", body: form, redirect: "manual", headers: { Origin: new URL(address).origin },
  });
  if (answer.status !== 303) throw new Error(`${answer.status} ${await answer.text()}`);
  return new URL(answer.headers.get("location")).searchParams;
}

let client, tokens, verifier, returned;
const authProvider = {
  redirectUrl: "http://localhost:3030/callback",
  clientMetadata: { client_name: "An agent in TypeScript", redirect_uris: ["http://localhost:3030/callback"] },
  clientInformation: () => client,
  saveClientInformation: (information) => { client = information; },
  tokens: () => tokens,
  saveTokens: (saved) => { tokens = saved; },
  codeVerifier: () => verifier,
  saveCodeVerifier: (saved) => { verifier = saved; },
  redirectToAuthorization: async (address) => { returned = await letIn(address); },
};

const agent = new Client({ name: "agent", version: "1.0.0" });
const first = new StreamableHTTPClientTransport(url, { authProvider });
try {
  await agent.connect(first);
  throw new Error("no login was needed");
} catch (error) {
  if (!(error instanceof UnauthorizedError)) throw error;
}
await first.finishAuth(returned.get("code"));
await agent.connect(new StreamableHTTPClientTransport(url, { authProvider }));
console.log("tools", ...(await agent.listTools()).tools.map((tool) => tool.name));
console.log("scope", tokens.scope);
const before = tokens.refresh_token;
console.log("renewed", await auth(authProvider, { serverUrl: url }), before !== tokens.refresh_token);
await agent.close();
