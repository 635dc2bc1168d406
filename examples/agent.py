"""An agent's loop with the scheduler, over the Model Context Protocol: log in, schedule, wait, look.

    pip install mcp
    MCP_URL=http://127.0.0.1:8000/mcp CLIENT_ID=... API_KEY=... python agent.py https://example.com/hook
"""

import asyncio
import os
import sys
from datetime import datetime, timedelta, timezone

from mcp import Client
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client


class InMemory:
    """Keeps the token for as long as the program runs; the SDK gets a new one when it has ended."""

    def __init__(self):
        self.tokens = self.client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client_info):
        self.client = client_info


async def call(client, tool, **arguments):
    result = await client.call_tool(tool, arguments)
    if result.is_error:
        # Written for a model: what is wrong, what would be accepted, what time it is.
        raise SystemExit(f"{tool}: {result.content[0].text}")
    return result.content[0].text, result.structured_content


async def main(endpoint):
    url = os.environ["MCP_URL"]
    login = ClientCredentialsOAuthProvider(
        server_url=url,
        storage=InMemory(),
        client_id=os.environ["CLIENT_ID"],
        client_secret=os.environ["API_KEY"],
        issuer=url.removesuffix("/mcp"),
    )
    mode = os.environ.get("MCP_MODE", "auto")  # "legacy": with the handshake of the protocol's older versions
    async with create_mcp_http_client(auth=login) as http:
        async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
            print("protocol", client.protocol_version)
            print("tools", *(tool.name for tool in (await client.list_tools()).tools))

            due = datetime.now(timezone.utc) + timedelta(seconds=1)
            conversation_id, scheduled = await call(
                client,
                "scheduleConversation",
                conversationText="Remind Anna of the invoice.",
                scheduledTime=due.isoformat(),
                endpoint=endpoint,
                additionalInfo={"ticket": 7},
            )
            print("scheduled for", scheduled["scheduledTime"])

            while True:
                status, record = await call(client, "getConversationStatus", conversationId=conversation_id)
                if status not in ("Scheduled", "InProgress"):
                    break
                await asyncio.sleep(0.2)
            print(status, "after", len(record["attempts"]), "attempt")

            cancelled, why = await call(client, "cancelConversation", conversationId=conversation_id)
            print("cancelled", cancelled, why.get("reason", ""))
            listed, _ = await call(client, "listConversations", limit=1)
            print(listed)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
