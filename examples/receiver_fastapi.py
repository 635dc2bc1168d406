# A receiver of deliveries: pip install standardwebhooks fastapi uvicorn
# WEBHOOK_SECRET=whsec_… uvicorn receiver_fastapi:app --port 8080
import os
import sqlite3

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse
from standardwebhooks import Webhook, WebhookVerificationError

app = FastAPI()
webhook = Webhook(os.environ["WEBHOOK_SECRET"])
database = sqlite3.connect(os.environ.get("DATABASE", "received.db"))
database.execute("CREATE TABLE IF NOT EXISTS received (id TEXT PRIMARY KEY, body BLOB)")


@app.api_route("/", methods=["POST", "PUT", "PATCH", "GET", "DELETE"])
async def receive(request: Request) -> PlainTextResponse:
    body = await request.body()  # the bytes as they arrived: the parameter of a model would have parsed them
    try:
        webhook.verify(body, dict(request.headers), json_parse=False)
    except (WebhookVerificationError, ValueError):
        return PlainTextResponse("not signed with our secret, or too old", status_code=401)
    with database:  # one transaction: the id is kept if, and only if, the work is done
        row = (request.headers["webhook-id"], body)
        new = database.execute("INSERT OR IGNORE INTO received VALUES (?, ?)", row).rowcount
        if new:
            pass  # the work: what the conversation asks for
    return PlainTextResponse("received" if new else "already received")
