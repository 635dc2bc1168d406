"""The agents of OpenAI with a token. Prints the names of the tools."""

import asyncio
import json
import os

from agents.mcp import MCPServerStreamableHttp

from conversation import CONVERSATION

HEADERS = {"Authorization": "Bearer " + os.environ["TOKEN"]}
PATIENCE = float(os.environ["PATIENCE"])


async def main():
    to = {"url": os.environ["MCP_URL"], "headers": HEADERS, "timeout": PATIENCE}
    async with MCPServerStreamableHttp(to, client_session_timeout_seconds=PATIENCE) as server:
        tools = await server.list_tools()
        result = await server.call_tool("scheduleConversation", CONVERSATION)
        assert not getattr(result, "isError", getattr(result, "is_error", None)), result
        print(json.dumps([tool.name for tool in tools]))


asyncio.run(main())
