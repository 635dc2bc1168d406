"""The Python SDK of the generation before, with a token that is just a header."""

import asyncio
import os
import sys
from datetime import timedelta

from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client


async def main(endpoint):
    headers = {"Authorization": "Bearer " + os.environ["TOKEN"]}
    async with streamablehttp_client(os.environ["MCP_URL"], headers=headers) as (read, write, session_id):
        async with ClientSession(read, write, read_timeout_seconds=timedelta(minutes=1)) as session:
            initialized = await session.initialize()
            print("protocol", initialized.protocolVersion)
            assert session_id() is None, "a session"
            print("tools", *(tool.name for tool in (await session.list_tools()).tools))
            call = session.call_tool
            scheduled = await call(
                "scheduleConversation",
                {"conversationText": "x", "scheduledTime": "2035-01-01T00:00:00Z", "endpoint": endpoint},
            )
            conversation = {"conversationId": scheduled.content[0].text}
            print("status", (await call("getConversationStatus", conversation)).content[0].text)
            print("cancelled", (await call("cancelConversation", conversation)).content[0].text)
            wrong = await call("getConversationStatus", {"conversationId": "none"})
            assert wrong.isError and "conversationId" in wrong.content[0].text, wrong


asyncio.run(main(sys.argv[1]))
