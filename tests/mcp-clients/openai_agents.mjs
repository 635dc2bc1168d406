// The agents of OpenAI with a token.  openai_agents.mjs PACKAGES

import { createRequire } from "node:module";

const { MCPServerStreamableHttp } = createRequire(process.argv[2])("@openai/agents");
const headers = { Authorization: `Bearer ${process.env.TOKEN}` };
const server = new MCPServerStreamableHttp({
  url: process.env.MCP_URL,
  requestInit: { headers },
  clientSessionTimeoutSeconds: Number(process.env.PATIENCE),
});
await server.connect();
const tools = await server.listTools();
const conversation = { conversationText: "x", scheduledTime: "2035-01-01T00:00:00Z", endpoint: "https://example.com/hook" };
const [content] = await server.callTool("scheduleConversation", conversation);
if (!/^[0-9a-f-]{36}$/.test(content.text)) throw new Error(`not scheduled: ${JSON.stringify(content)}`);
console.log(JSON.stringify(tools.map((tool) => tool.name)));
await server.close();
