"""The Python SDK with a token, or with nothing but the address: then it registers itself, and opens the browser.

Runs with both generations of the SDK."""

import asyncio
import json
import os
import urllib.parse
import webbrowser
from http.server import BaseHTTPRequestHandler, HTTPServer

import mcp
from mcp.client.auth import OAuthClientProvider
from mcp.shared import auth

from conversation import CONVERSATION

URL, TOKEN = os.environ["MCP_URL"], os.environ.get("TOKEN")
HEADERS = {"Authorization": f"Bearer {TOKEN}"} if TOKEN else {}


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


class Callback(BaseHTTPRequestHandler):
    """Where the browser returns to."""

    def do_GET(self):
        self.server.returned = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


class Browser:
    def __init__(self):
        self.server = HTTPServer(("127.0.0.1", 0), Callback)
        self.redirect_uri = f"http://127.0.0.1:{self.server.server_port}/callback"

    async def open(self, url):
        webbrowser.open(url)

    async def result(self):
        await asyncio.to_thread(self.server.handle_request)
        returned = self.server.returned
        if hasattr(auth, "AuthorizationCodeResult"):
            return auth.AuthorizationCodeResult(code=returned["code"], state=returned["state"], iss=returned["iss"])
        return returned["code"], returned["state"]


async def tools(login):
    if hasattr(mcp, "Client"):
        from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

        async with create_mcp_http_client(headers=HEADERS, auth=login) as http:
            async with mcp.Client(streamable_http_client(URL, http_client=http)) as client:
                assert not (await client.call_tool("scheduleConversation", CONVERSATION)).is_error
                return (await client.list_tools()).tools
    from mcp.client.streamable_http import streamablehttp_client

    async with streamablehttp_client(URL, headers=HEADERS, auth=login) as (read, write, _):
        async with mcp.ClientSession(read, write) as session:
            await session.initialize()
            assert not (await session.call_tool("scheduleConversation", CONVERSATION)).isError
            return (await session.list_tools()).tools


async def log_in():
    """Lists the tools after a login."""
    browser, storage = Browser(), InMemory()
    metadata = auth.OAuthClientMetadata(client_name="An agent in Python", redirect_uris=[browser.redirect_uri])
    login = OAuthClientProvider(URL, metadata, storage, browser.open, browser.result)
    listed = await tools(login)
    assert storage.tokens.scope == "conversations:read conversations:write", storage.tokens.scope
    assert storage.tokens.refresh_token is not None
    return listed


async def main():
    listed = await (tools(None) if TOKEN else log_in())
    print(json.dumps([tool.name for tool in listed]))


asyncio.run(main())
