// An agent's loop with the scheduler, over the Model Context Protocol: log in, schedule, wait, look.
//
//     npm install @modelcontextprotocol/sdk
//     MCP_URL=http://127.0.0.1:8000/mcp CLIENT_ID=... API_KEY=... node agent.mjs https://example.com/hook

import { setTimeout as sleep } from "node:timers/promises";
import { ClientCredentialsProvider } from "@modelcontextprotocol/sdk/client/auth-extensions.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const endpoint = process.argv[2];
const url = new URL(process.env.MCP_URL);
const authProvider = new ClientCredentialsProvider({
  clientId: process.env.CLIENT_ID,
  clientSecret: process.env.API_KEY,
  expectedIssuer: url.origin,
});
const client = new Client({ name: "agent", version: "1.0.0" });
const transport = new StreamableHTTPClientTransport(url, { authProvider });
client.onerror = (error) => console.error(error);
await client.connect(transport);
console.log("protocol", transport.protocolVersion);
// Once the tools are known, the SDK checks every structuredContent against its outputSchema.
console.log("tools", ...(await client.listTools()).tools.map((tool) => tool.name));

async function call(name, args) {
  const result = await client.callTool({ name, arguments: args });
  // Written for a model: what is wrong, what would be accepted, what time it is.
  if (result.isError) throw new Error(`${name}: ${result.content[0].text}`);
  return [result.content[0].text, result.structuredContent];
}

const [conversationId, scheduled] = await call("scheduleConversation", {
  conversationText: "Remind Anna of the invoice.",
  scheduledTime: new Date(Date.now() + 1000).toISOString(),
  endpoint,
  additionalInfo: { ticket: 7 },
});
console.log("scheduled for", scheduled.scheduledTime);

let status, record;
for (;;) {
  [status, record] = await call("getConversationStatus", { conversationId });
  if (status !== "Scheduled" && status !== "InProgress") break;
  await sleep(200);
}
console.log(status, "after", record.attempts.length, "attempt");

const [cancelled, why] = await call("cancelConversation", { conversationId });
console.log("cancelled", cancelled, why.reason ?? "");
const [listed] = await call("listConversations", { limit: 1 });
console.log(listed);
await client.close();
