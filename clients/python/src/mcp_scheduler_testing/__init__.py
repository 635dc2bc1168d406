"""A scheduler for tests: `mcp-scheduler dev`, whose clock a test turns."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

__all__ = ["Arrival", "Scheduler", "SchedulerError", "Turned"]

# A turn of the clock answers within a minute or so.
_TIMEOUT = 120
# The scheduler is on this machine.
_OPENER = build_opener(ProxyHandler({}))

_LOOP = (
    "the clock stands still at {now}, with {rest} left to turn: each delivery has led to another one for the same instant, "
    "a thousand times in a row; schedule it for a later time"
)


class SchedulerError(Exception):
    """The scheduler has refused a request, has not started, or cannot turn its clock to the end."""


@dataclass(frozen=True)
class Turned:
    """What a turn of the clock came to."""

    now: datetime
    """The time on the clock."""
    attempts: dict[str, int]
    """The number of attempts with each outcome: success, failure, permanentFailure, unknown."""
    pending: int
    """The number of conversations that wait for a later time."""


@dataclass(frozen=True)
class Arrival:
    """A delivery that has arrived in the inbox of the scheduler."""

    text: str
    received_at: datetime
    scheduled_time: datetime
    lateness_ms: int
    attempt: int
    conversation_id: str
    client_id: str
    method: str
    path: str
    headers: dict[str, str]
    body: str


class Scheduler:
    """A running scheduler. It ends with `stop`, with its `with` block, or with this process."""

    url: str
    """The address of the scheduler."""
    client: str
    """The id of its client."""
    api_key: str
    """The API key of the client."""
    signing_secret: str
    """What a receiver verifies deliveries with, by Standard Webhooks."""

    def __init__(self, binary: str | None = None) -> None:
        """Starts a scheduler on a free port. Without a binary it is that of MCP_SCHEDULER, or else of PATH."""
        binary = binary or os.environ.get("MCP_SCHEDULER") or "mcp-scheduler"
        command = [binary, "dev", "--port", "0", "--json", "--until-stdin-closes"]
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except OSError as error:
            raise SchedulerError(f"cannot start {binary}: {error}; set MCP_SCHEDULER to its path") from error
        line = self._process.stdout.readline()
        if not line:
            self.stop()
            raise SchedulerError(f"{binary} has ended; the lines above say why")
        started = json.loads(line)
        self.url, self.client = started["url"], started["clientId"]
        self.api_key, self.signing_secret = started["apiKey"], started["signingSecret"]

    @property
    def inbox(self) -> str:
        """An endpoint that keeps what it receives. Every name below it, such as /slack, does, too."""
        return f"{self.url}/dev/inbox"

    @property
    def now(self) -> datetime:
        """The time on the clock."""
        return _time(self.call("GET", "/dev/clock")["now"])

    def schedule(self, text: str, endpoint: str | None = None, **fields: Any) -> str:
        """Schedules a text, by default to the inbox, with the fields of the API. Returns the id of the conversation."""
        conversation = {"conversationText": text, "endpoint": endpoint or self.inbox, **fields}
        return self.call("POST", "/api/scheduler/schedule", conversation)["conversationId"]

    def status(self, conversation_id: str) -> dict[str, Any]:
        """Everything that the scheduler knows of a conversation."""
        return self.call("GET", f"/api/scheduler/status/{conversation_id}")

    def advance(self, duration: str) -> Turned:
        """Turns the clock forward, such as by "P4D" or "90m". It returns when everything until then was delivered."""
        attempts: Counter[str] = Counter()
        while True:
            turned = self.call("POST", "/dev/clock", {"advance": duration})
            attempts.update(turned["attempts"])
            if turned.get("stoppedBy") == "loop":
                raise SchedulerError(_LOOP.format(**turned))
            # There is a limit on the time of one turn.
            duration = turned.get("rest")
            if not duration:
                return Turned(_time(turned["now"]), dict(attempts), turned["pending"])

    def arrivals(self) -> list[Arrival]:
        """What has arrived in the inbox, the first delivery first. The last thousand are kept."""
        return [_arrival(arrival) for arrival in self.call("GET", "/dev/inbox")["arrivals"]]

    def clear(self) -> None:
        """Empties the inbox."""
        self.call("DELETE", "/dev/inbox")

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Calls the API as the client, and returns the JSON of the answer."""
        headers = {"Authorization": f"Bearer {self.api_key}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        try:
            with _OPENER.open(Request(self.url + path, data, headers, method=method), timeout=_TIMEOUT) as answer:
                return json.loads(answer.read() or b"null")
        except HTTPError as error:
            problem = json.loads(error.read())
            raise SchedulerError(" ".join(filter(None, [problem.get("detail"), problem.get("hint")]))) from None

    def stop(self) -> None:
        """Ends the scheduler."""
        self._process.stdin.close()
        # A process that a test has forked can hold the other end of standard input.
        self._process.terminate()
        self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> Scheduler:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _arrival(arrival: dict[str, Any]) -> Arrival:
    return Arrival(
        text=arrival["text"],
        received_at=_time(arrival["receivedAt"]),
        scheduled_time=_time(arrival["scheduledTime"]),
        lateness_ms=arrival["latenessMs"],
        attempt=arrival["attempt"],
        conversation_id=arrival["conversationId"],
        client_id=arrival["clientId"],
        method=arrival["method"],
        path=arrival["path"],
        headers=arrival["headers"],
        body=arrival["body"],
    )
