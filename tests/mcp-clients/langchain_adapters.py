"""The adapters of LangChain with a token. Prints the names of the tools."""

import asyncio
import json
import os

from langchain_mcp_adapters.client import MultiServerMCPClient

from conversation import CONVERSATION

HEADERS = {"Authorization": "Bearer " + os.environ["TOKEN"]}


async def main():
    server = {"transport": "streamable_http", "url": os.environ["MCP_URL"], "headers": HEADERS}
    tools = await MultiServerMCPClient({"scheduler": server}).get_tools()
    await next(tool for tool in tools if tool.name == "scheduleConversation").ainvoke(CONVERSATION)
    print(json.dumps([tool.name for tool in tools]))


asyncio.run(main())
