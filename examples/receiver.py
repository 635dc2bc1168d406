# A receiver of deliveries: pip install standardwebhooks
# WEBHOOK_SECRET=whsec_… PORT=8080 python receiver.py
import os
import sqlite3
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["WEBHOOK_SECRET"])
database = sqlite3.connect(os.environ.get("DATABASE", ":memory:"))
database.execute("CREATE TABLE IF NOT EXISTS received (id TEXT PRIMARY KEY, body BLOB)")


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            webhook.verify(body, dict(self.headers), json_parse=False)
        except (WebhookVerificationError, ValueError):
            return self.answer(401, "not signed with our secret, or too old")
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
