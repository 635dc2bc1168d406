// The AI SDK with a token.  ai_sdk.mjs PACKAGES

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const found = createRequire(process.argv[2]).resolve("@ai-sdk/mcp");
const { createMCPClient, experimental_createMCPClient } = await import(pathToFileURL(found));
const headers = { Authorization: `Bearer ${process.env.TOKEN}` };
const client = await (createMCPClient ?? experimental_createMCPClient)({ transport: { type: "http", url: process.env.MCP_URL, headers } });
const tools = await client.tools();
const conversation = { conversationText: "x", scheduledTime: "2035-01-01T00:00:00Z", endpoint: "https://example.com/hook" };
const { isError } = await tools.scheduleConversation.execute(conversation, { toolCallId: "1", messages: [] });
if (isError) throw new Error("the conversation is not scheduled");
console.log(JSON.stringify(Object.keys(tools)));
await client.close();
