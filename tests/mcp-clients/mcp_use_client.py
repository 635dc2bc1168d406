"""mcp-use with a token, which it takes as `auth`. Prints the names of the tools."""

import asyncio
import json
import os

from mcp_use import MCPClient

from conversation import CONVERSATION

SERVER = {"url": os.environ["MCP_URL"], "auth": os.environ["TOKEN"], "timeout": float(os.environ["PATIENCE"])}


async def main():
    client = MCPClient({"mcpServers": {"scheduler": SERVER}})
    session = await client.create_session("scheduler")
    assert not (await session.call_tool("scheduleConversation", CONVERSATION)).isError
    print(json.dumps([tool.name for tool in await session.list_tools()]))
    await client.close_all_sessions()


asyncio.run(main())
