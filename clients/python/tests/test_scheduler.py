"""The fixture with a real scheduler. MCP_SCHEDULER names the binary."""

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from mcp_scheduler_testing import Scheduler, SchedulerError
from standardwebhooks import Webhook


def test_a_reminder_arrives_when_the_clock_is_turned(scheduler: Scheduler) -> None:
    scheduler.schedule("Invoice 17 is due", delay="P4D")
    scheduler.schedule("later", delay="P9D")
    began = scheduler.now
    assert scheduler.advance("P3D").attempts["success"] == 0
    assert scheduler.arrivals() == []

    turned = scheduler.advance("P2D")
    assert (turned.attempts["success"], turned.pending) == (1, 1)
    assert turned.now - began >= timedelta(days=5)
    [arrival] = scheduler.arrivals()
    assert (arrival.text, arrival.lateness_ms, arrival.attempt) == ("Invoice 17 is due", 0, 1)
    assert arrival.received_at == arrival.scheduled_time
    scheduler.clear()
    assert scheduler.arrivals() == []


def test_the_official_library_verifies_after_the_turn(scheduler: Scheduler) -> None:
    scheduler.schedule("hello", delay="P30D", endpoint=f"{scheduler.inbox}/hook")
    scheduler.advance("P30D")
    [arrival] = scheduler.arrivals()
    verified = Webhook(scheduler.signing_secret).verify(arrival.body, arrival.headers)
    assert (verified["conversationText"], arrival.path) == ("hello", "/dev/inbox/hook")


def test_a_conversation_is_known_by_its_id(scheduler: Scheduler) -> None:
    conversation = scheduler.schedule("hello", recurrence={"cron": "0 9 * * *", "timeZone": "Asia/Tokyo"})
    scheduler.advance("P7D")
    assert scheduler.status(conversation)["status"] == "Scheduled"
    assert {arrival.scheduled_time.hour for arrival in scheduler.arrivals()} == {0}
    assert len(scheduler.arrivals()) == 7


def test_a_wrong_request_is_explained(scheduler: Scheduler) -> None:
    with pytest.raises(SchedulerError, match="use days"):
        scheduler.advance("P1M")
    with pytest.raises(SchedulerError, match="endpoint"):
        scheduler.schedule("hello", endpoint="nowhere", delay="1h")
    with pytest.raises(SchedulerError, match="set MCP_SCHEDULER"):
        Scheduler("no-such-binary")


def test_a_turn_in_parts_is_one_turn_and_a_clock_that_stands_still_is_an_error(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, asked = "2030-01-01T09:00:00.000Z", []
    parts = [
        {"now": now, "attempts": {"success": 2}, "pending": 1, "rest": "P2D", "stoppedBy": "time"},
        {"now": now, "attempts": {"success": 3}, "pending": 0},
        {"now": now, "attempts": {"success": 1000}, "pending": 1, "rest": "P1D", "stoppedBy": "loop"},
    ]

    def answer(method: str, path: str, body: dict[str, str]) -> dict[str, object]:
        asked.append(body["advance"])
        return parts.pop(0)

    monkeypatch.setattr(scheduler, "call", answer)
    assert (scheduler.advance("P3D").attempts, asked) == ({"success": 5}, ["P3D", "P2D"])
    with pytest.raises(SchedulerError, match="stands still at 2030-01-01T09:00:00.000Z, with P1D left"):
        scheduler.advance("P1D")


def test_a_scheduler_ends_with_the_process_that_has_started_it() -> None:
    program = "import time\nfrom mcp_scheduler_testing import Scheduler\n" \
        "print(Scheduler()._process.pid, flush=True)\ntime.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 20
    while os.path.exists(f"/proc/{pid}") and open(f"/proc/{pid}/stat").read().split()[2] != "Z":
        assert time.monotonic() < deadline, "it still runs"
        time.sleep(0.02)
