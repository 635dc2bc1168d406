"""The Python SDK with nothing but the address: it registers itself, and opens the browser. Runs with both generations of the SDK."""

import asyncio
import os

import mcp
from mcp.client.auth import OAuthClientProvider
from mcp.shared import auth

from browser import let_in

URL = os.environ["MCP_URL"]
METADATA = auth.OAuthClientMetadata(client_name="An agent in Python", redirect_uris=["http://localhost:3030/callback"])


class InMemory:
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


class Browser:
    async def open(self, url):
        self.returned = await asyncio.to_thread(let_in, url)

    async def result(self):
        code, state = self.returned["code"], self.returned["state"]
        if hasattr(auth, "AuthorizationCodeResult"):
            return auth.AuthorizationCodeResult(code=code, state=state, iss=self.returned["iss"])
        return code, state


async def tools(login):
    if hasattr(mcp, "Client"):
        from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

        async with create_mcp_http_client(auth=login) as http:
            async with mcp.Client(streamable_http_client(URL, http_client=http)) as client:
                return (await client.list_tools()).tools
    from mcp.client.streamable_http import streamablehttp_client

    async with streamablehttp_client(URL, auth=login) as (read, write, _):
        async with mcp.ClientSession(read, write) as session:
            await session.initialize()
            return (await session.list_tools()).tools


async def main():
    browser, storage = Browser(), InMemory()
    login = OAuthClientProvider(URL, METADATA, storage, browser.open, browser.result)
    print("tools", *(tool.name for tool in await tools(login)))
    print("scope", storage.tokens.scope)
    print("renews", storage.tokens.refresh_token is not None)


asyncio.run(main())
