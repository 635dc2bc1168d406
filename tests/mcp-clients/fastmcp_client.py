"""fastmcp with a token, or with nothing but the address: then it registers itself, and opens the browser."""

import asyncio
import json
import os

from fastmcp import Client

from conversation import CONVERSATION


async def main():
    async with Client(os.environ["MCP_URL"], auth=os.environ.get("TOKEN", "oauth")) as client:
        assert not (await client.call_tool("scheduleConversation", CONVERSATION)).is_error
        print(json.dumps([tool.name for tool in await client.list_tools()]))


asyncio.run(main())
