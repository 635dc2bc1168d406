// The client of version 2 of the TypeScript SDK, with a token.  typescript_client.mjs PACKAGES

import { createRequire } from "node:module";

const { Client, StreamableHTTPClientTransport } = createRequire(process.argv[2])("@modelcontextprotocol/client");
const headers = { Authorization: `Bearer ${process.env.TOKEN}` };
const client = new Client({ name: "agent", version: "1.0.0" });
await client.connect(new StreamableHTTPClientTransport(new URL(process.env.MCP_URL), { requestInit: { headers } }));
const conversation = { conversationText: "x", scheduledTime: "2035-01-01T00:00:00Z", endpoint: "https://example.com/hook" };
const { isError } = await client.callTool({ name: "scheduleConversation", arguments: conversation });
if (isError) throw new Error("the conversation is not scheduled");
console.log(JSON.stringify((await client.listTools()).tools.map((tool) => tool.name)));
await client.close();
