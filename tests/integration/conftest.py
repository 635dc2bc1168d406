"""What the tests of the public contract share: the deployment, a token, and a receiver where one can be reached.

TEST_APP_URL (http://localhost:8000), TEST_CLIENT_ID and TEST_API_KEY name the deployment. TEST_RECEIVER_URL is an endpoint
that answers POST with 2xx; without it, a deployment on this machine delivers to a listener that is started here.
"""

import json
import os
import threading
import time
import uuid
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
import requests

URL = os.environ.get("TEST_APP_URL", "http://localhost:8000").rstrip("/")
CLIENT = os.environ.get("TEST_CLIENT_ID")
KEY = os.environ.get("TEST_API_KEY")
# How long a call may take: a function app that has scaled to zero must start first.
PATIENCE = 60


class App:
    """The deployment, called as a client calls it."""

    def __init__(self):
        self.session = requests.Session()
        self.made = []

    def call(self, method, path, **more):
        return self.session.request(method, URL + path, timeout=PATIENCE, allow_redirects=False, **more)

    def schedule(self, endpoint, due=None, **more):
        body = {"conversationText": f"integration test {uuid.uuid4()}", "endpoint": endpoint, **more}
        body["scheduledTime"] = due or rfc3339(timedelta(hours=1))
        response = self.call("POST", "/api/scheduler/schedule", json=body)
        assert response.status_code == 200, response.text
        answer = response.json()
        self.made.append(answer["conversationId"])
        return answer, body["conversationText"]

    def status(self, conversation):
        response = self.call("GET", f"/api/scheduler/status/{conversation}")
        assert response.status_code == 200, response.text
        return response.json()

    def until(self, conversation, done, patience=120):
        deadline = time.monotonic() + patience
        while True:
            answer = self.status(conversation)
            if done(answer):
                return answer
            assert time.monotonic() < deadline, answer
            time.sleep(0.5)


def rfc3339(after):
    return (datetime.now(timezone.utc) + after).isoformat().replace("+00:00", "Z")


@pytest.fixture(scope="session")
def anyone():
    """Somebody without a token."""
    return App()


@pytest.fixture(scope="session")
def app():
    """The test client, logged in. What it leaves scheduled is cancelled in the end."""
    assert CLIENT and KEY, "set TEST_CLIENT_ID and TEST_API_KEY"
    app = App()
    answer = app.call("POST", "/api/auth/token", json={"clientId": CLIENT, "apiKey": KEY})
    assert answer.status_code == 200, answer.text
    app.session.headers["Authorization"] = f"Bearer {answer.json()['token']}"
    yield app
    for conversation in app.made:
        app.call("DELETE", f"/api/scheduler/{conversation}")


class Receiver:
    """An endpoint; what arrived, if it is one of ours."""

    def __init__(self, url, arrived=None):
        self.url = url
        self.arrived = arrived


@pytest.fixture(scope="session")
def receiver():
    if url := os.environ.get("TEST_RECEIVER_URL"):
        yield Receiver(url)
        return
    if urlsplit(URL).hostname not in ("localhost", "127.0.0.1", "::1"):
        pytest.skip("no receiver is reachable from there: set TEST_RECEIVER_URL to an endpoint that answers POST with 2xx")
    arrived = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            arrived.append((time.time(), self.path, {k.lower(): v for k, v in self.headers.items()}, json.loads(body)))
            self.send_response(500 if self.path == "/broken" else 404 if self.path == "/gone" else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Receiver(f"http://127.0.0.1:{server.server_port}/", arrived)
    server.shutdown()
