# A receiver of deliveries: pip install standardwebhooks flask
# WEBHOOK_SECRET=whsec_… flask --app receiver_flask run --port 8080
import os
import sqlite3
from contextlib import closing

from flask import Flask, request
from standardwebhooks import Webhook, WebhookVerificationError

DATABASE = os.environ.get("DATABASE", "received.db")
app = Flask(__name__)
webhook = Webhook(os.environ["WEBHOOK_SECRET"])
with closing(sqlite3.connect(DATABASE)) as database:
    database.execute("CREATE TABLE IF NOT EXISTS received (id TEXT PRIMARY KEY, body BLOB)")


@app.route("/", methods=["POST", "PUT", "PATCH", "GET", "DELETE"])
def receive():
    body = request.get_data()  # the bytes as they arrived: request.json would have parsed them
    try:
        webhook.verify(body, dict(request.headers), json_parse=False)
    except (WebhookVerificationError, ValueError):
        return "not signed with our secret, or too old", 401
    # Flask serves requests on several threads, and each has a connection of its own.
    with closing(sqlite3.connect(DATABASE)) as database, database:  # one transaction, as in the first example
        row = (request.headers["webhook-id"], body)
        new = database.execute("INSERT OR IGNORE INTO received VALUES (?, ?)", row).rowcount
        if new:
            pass  # the work: what the conversation asks for
    return "received" if new else "already received"
