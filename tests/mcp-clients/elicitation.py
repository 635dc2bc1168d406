"""The Python SDK with a user who answers the questions of a tool, and then declines one."""

import asyncio
import os

import mcp
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client
from mcp_types import ElicitResult

CALL = {"conversationText": "x", "scheduledTime": "2035-01-31T09:30", "endpoint": "https://hooks.example.com/hook"}


class User:
    def __init__(self, zone):
        self.zone, self.asked = zone, []

    async def __call__(self, context, params):
        fields = list(params.requested_schema["properties"])
        self.asked.append(f"asked {fields[0] if fields else 'endpoint'} {params.message.split('?')[0]}")
        if fields and self.zone is None:
            return ElicitResult(action="decline")
        return ElicitResult(action="accept", content={name: self.zone for name in fields})


async def main():
    async with create_mcp_http_client(headers={"Authorization": "Bearer " + os.environ["TOKEN"]}) as http:
        for zone in ["Europe/Berlin", None]:
            user = User(zone)
            transport = streamable_http_client(os.environ["MCP_URL"], http_client=http)
            async with mcp.Client(transport, elicitation_callback=user) as client:
                if zone:
                    print("protocol", client.protocol_version)
                result = await client.call_tool("scheduleConversation", CALL)
            print(*sorted(user.asked), sep="\n")
            print("declined" if result.is_error else "scheduled " + result.structured_content["scheduledTime"])


asyncio.run(main())
