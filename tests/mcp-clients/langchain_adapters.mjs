// The adapters of LangChain with a token.  langchain_adapters.mjs PACKAGES

import { createRequire } from "node:module";

const { MultiServerMCPClient } = createRequire(process.argv[2])("@langchain/mcp-adapters");
const headers = { Authorization: `Bearer ${process.env.TOKEN}` };
const client = new MultiServerMCPClient({ scheduler: { transport: "http", url: process.env.MCP_URL, headers } });
const tools = await client.getTools();
const conversation = { conversationText: "x", scheduledTime: "2035-01-01T00:00:00Z", endpoint: "https://example.com/hook" };
await tools.find((tool) => tool.name === "scheduleConversation").invoke(conversation);
console.log(JSON.stringify(tools.map((tool) => tool.name)));
await client.close();
