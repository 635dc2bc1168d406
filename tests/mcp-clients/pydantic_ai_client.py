"""Pydantic AI with a token. Prints the names of the tools."""

import asyncio
import json
import os

from pydantic_ai.mcp import MCPToolset

from conversation import CONVERSATION

HEADERS = {"Authorization": "Bearer " + os.environ["TOKEN"]}


async def main():
    async with MCPToolset(os.environ["MCP_URL"], headers=HEADERS, init_timeout=float(os.environ["PATIENCE"])) as toolset:
        tools = await toolset.list_tools()
        await toolset.direct_call_tool("scheduleConversation", CONVERSATION)
        print(json.dumps([tool.name for tool in tools]))


asyncio.run(main())
