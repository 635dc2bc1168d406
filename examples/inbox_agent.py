"""An agent behind NAT: it needs no address, because it receives its conversations itself. Python alone, no packages.

    SCHEDULER_URL=http://127.0.0.1:8000 CLIENT_ID=... API_KEY=... python inbox_agent.py
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request

URL, TOKEN = os.environ["SCHEDULER_URL"], {"value": "", "until": 0.0}
# Idempotency: what was done and not acknowledged is received again. In production, keep this beside the work.
DONE = set()


def post(path, body, token=None):
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(URL + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=40) as response:
        return json.load(response)


def call(path, body):
    if time.monotonic() > TOKEN["until"]:
        login = {"clientId": os.environ["CLIENT_ID"], "apiKey": os.environ["API_KEY"]}
        answer = post("/api/auth/token", login)
        TOKEN.update(value=answer["token"], until=time.monotonic() + answer["expiresIn"] - 60)
    return post(path, body, TOKEN["value"])


def work(conversation):
    """What the agent does. It must end before the lease."""
    print(conversation["conversationText"], flush=True)


def handle(conversation):
    outcome = "done"
    if conversation["deliveryId"] not in DONE:
        try:
            work(conversation)
            DONE.add(conversation["deliveryId"])
        except Exception as error:  # another attempt follows
            print(error, file=sys.stderr)
            outcome = "failed"
    try:
        call(f"/api/inbox/{conversation['conversationId']}/ack", {"receipt": conversation["receipt"], "outcome": outcome})
    except urllib.error.HTTPError as error:
        if error.code != 409:  # 409: the lease has ended, and somebody else has it now
            raise


while True:
    try:
        received = call("/api/inbox/receive", {"leaseSeconds": 60, "waitSeconds": 20})
        for conversation in received["conversations"]:
            handle(conversation)
        if os.environ.get("WAITS") == "no":  # on Azure Functions a call does not wait
            time.sleep(5)
    except OSError as error:  # the service is away for a moment: what is not acknowledged is received again
        print(error, file=sys.stderr)
        time.sleep(5)
