# A receiver without a secret: it verifies deliveries with the public keys of the client: pip install cryptography
# WEBHOOK_KEYS_URL='https://…/.well-known/webhook-keys.json?client=…' PORT=8080 python receiver_public_key.py
import json
import os
import sqlite3
import time
from base64 import b64decode, urlsafe_b64decode
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.request import urlopen

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FIVE_MINUTES = 300  # in seconds
database = sqlite3.connect(os.environ.get("DATABASE", ":memory:"))
database.execute("CREATE TABLE IF NOT EXISTS received (id TEXT PRIMARY KEY, body BLOB)")


class PublicKeys:
    """They change when the operator changes the master secret. While the service cannot be reached, the old keys stay."""

    def __init__(self, url):
        self.url = url
        self.fetch()

    def fetch(self):
        with urlopen(self.url, timeout=10) as response:
            keys = json.load(response)["keys"]
        self.keys = [Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(key["x"] + "=")) for key in keys]
        self.fetched = time.monotonic()

    def verify(self, headers, body):
        """Raises ValueError or InvalidSignature if the request is not signed for our client, or too old."""
        if time.monotonic() - self.fetched > FIVE_MINUTES:
            try:
                self.fetch()
            except OSError:
                pass
        timestamp = headers.get("webhook-timestamp", "")
        if abs(time.time() - int(timestamp)) > FIVE_MINUTES:
            raise ValueError("too old")
        signed = f"{headers.get('webhook-id')}.{timestamp}.".encode() + body
        for entry in headers.get("webhook-signature", "").split(" "):
            version, _, signature = entry.partition(",")
            for key in self.keys if version == "v1a" else []:
                try:
                    return key.verify(b64decode(signature), signed)
                except InvalidSignature:
                    pass
        raise InvalidSignature


public_keys = PublicKeys(os.environ["WEBHOOK_KEYS_URL"])


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            public_keys.verify(self.headers, body)
        except (InvalidSignature, ValueError):
            return self.answer(401, "not signed for our client, or too old")
        with database:  # one transaction: the id is kept if, and only if, the work is done
            row = (self.headers["webhook-id"], body)
            new = database.execute("INSERT OR IGNORE INTO received VALUES (?, ?)", row).rowcount
            if new:
                pass  # the work: what the conversation asks for
        self.answer(200, "received" if new else "already received")

    do_GET = do_PUT = do_PATCH = do_DELETE = do_POST

    def answer(self, status, text):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())


server = HTTPServer(("127.0.0.1", int(os.environ.get("PORT", 8080))), Receiver)
print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
