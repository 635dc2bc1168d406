"""The public contract, as any client sees it, against any deployment. conftest.py says how to point it at one."""

import base64
import time
import uuid
from datetime import datetime, timedelta

import pytest

from conftest import CLIENT, KEY, URL, rfc3339

FAR = "https://example.com/callback"


def problem(response, status):
    """A problem detail (RFC 9457) that says what is wrong."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"].split(";")[0] == "application/problem+json"
    body = response.json()
    assert body["status"] == status and body["title"] and body["type"]
    return body


def instant(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


# Health


def test_the_process_and_its_store_are_there(anyone):
    for path in ["/health", "/health/ready"]:
        response = anyone.call("GET", path)
        assert (response.status_code, response.json()["status"]) == (200, "ok")


# Who may call


def test_a_token_is_given_for_the_api_key(anyone):
    body = anyone.call("POST", "/api/auth/token", json={"clientId": CLIENT, "apiKey": KEY}).json()
    assert body["tokenType"] == "Bearer" and body["token"].count(".") == 2 and 0 < body["expiresIn"] <= 3600


def test_a_wrong_key_gets_none_and_an_unknown_client_gets_the_same_answer(anyone):
    # An own name: failures must not slow down the client that the other tests use.
    nobody = f"nobody-{uuid.uuid4().hex[:8]}"
    body = problem(anyone.call("POST", "/api/auth/token", json={"clientId": nobody, "apiKey": "x" * 32}), 401)
    assert nobody not in str(body)


@pytest.mark.parametrize(("method", "path"), [
    ("POST", "/api/scheduler/schedule"),
    ("GET", "/api/scheduler"),
    ("GET", "/api/scheduler/status/01890000-0000-7000-8000-00000000000f"),
    ("DELETE", "/api/scheduler/01890000-0000-7000-8000-00000000000f"),
    ("POST", "/api/scheduler/01890000-0000-7000-8000-00000000000f/redeliver"),
    ("POST", "/mcp"),
])
@pytest.mark.parametrize("token", [None, "Bearer no.such.token"])
def test_nobody_gets_in_without_a_token(anyone, method, path, token):
    response = anyone.call(method, path, headers={"Authorization": token} if token else {}, json={})
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_nobody_can_pretend_to_be_the_queue_or_the_timer(app):
    for path in ["/deliverDueConversations", "/sweepDueConversations"]:
        assert app.call("POST", path, json={}).status_code == 404


# OAuth


def test_a_machine_client_finds_its_way_to_a_token_by_oauth(anyone):
    resource = anyone.call("GET", "/.well-known/oauth-protected-resource").json()
    server, = resource["authorization_servers"]
    assert server.rstrip("/") == URL or "localhost" in URL or "127.0.0.1" in URL
    metadata = anyone.call("GET", "/.well-known/oauth-authorization-server").json()
    assert "client_credentials" in metadata["grant_types_supported"]
    path = "/" + metadata["token_endpoint"].split("/", 3)[3]
    form = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": KEY}
    basic = base64.b64encode(f"{CLIENT}:{KEY}".encode()).decode()
    for attempt in [
        anyone.call("POST", path, data=form),
        anyone.call("POST", path, data={"grant_type": "client_credentials"}, headers={"Authorization": f"Basic {basic}"}),
    ]:
        assert attempt.status_code == 200, attempt.text
        assert attempt.headers["Cache-Control"] == "no-store"
        token = attempt.json()["access_token"]
        listed = anyone.call("GET", "/api/scheduler?limit=1", headers={"Authorization": f"Bearer {token}"})
        assert listed.status_code == 200


def test_a_token_may_be_asked_for_less(anyone):
    form = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": KEY, "scope": "conversations:read"}
    answer = anyone.call("POST", "/oauth/token", data=form)
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert anyone.call("GET", "/api/scheduler?limit=1", headers=headers).status_code == 200
    refused = anyone.call("POST", "/api/scheduler/schedule", headers=headers, json={})
    assert refused.status_code == 403 and "insufficient_scope" in refused.headers["WWW-Authenticate"]


@pytest.mark.parametrize(("form", "error"), [
    ({"grant_type": "password"}, "unsupported_grant_type"),
    ({}, "invalid_request"),
])
def test_oauth_says_what_is_wrong_in_its_own_words(anyone, form, error):
    answer = anyone.call("POST", "/oauth/token", data={"client_id": CLIENT, "client_secret": KEY, **form})
    assert (answer.status_code, answer.json()["error"]) == (400, error)


# Scheduling


def test_what_is_scheduled_can_be_looked_at_listed_and_cancelled(app):
    answer, text = app.schedule(FAR, headers={"Authorization": "secret-of-the-endpoint"}, additionalInfo={"ticket": 7})
    # The clock of a storage account, which decides, is known to a second.
    assert answer["status"] == "Scheduled" and 3500 < answer["dueInSeconds"] <= 3601
    status = app.status(answer["conversationId"])
    assert (status["conversationText"], status["endpoint"], status["attempts"]) == (text, FAR, [])
    assert status["additionalInfo"] == {"ticket": 7} and "secret-of-the-endpoint" not in str(status)
    listed = app.call("GET", "/api/scheduler?status=Scheduled&limit=100").json()["conversations"]
    assert answer["conversationId"] in [conversation["conversationId"] for conversation in listed]
    for _ in range(2):
        cancelled = app.call("DELETE", f"/api/scheduler/{answer['conversationId']}")
        assert (cancelled.status_code, cancelled.json()["cancelled"]) == (200, True)
    assert app.status(answer["conversationId"])["status"] == "Cancelled"


def test_a_time_is_an_instant_whatever_its_offset(app):
    answer, _ = app.schedule(FAR, due="2031-01-31T09:30:00+01:00")
    assert instant(answer["scheduledTime"]) == instant("2031-01-31T08:30:00Z")


def test_the_list_is_newest_first_and_comes_in_pages(app):
    ids = [app.schedule(FAR)[0]["conversationId"] for _ in range(3)]
    first = app.call("GET", "/api/scheduler?limit=2").json()
    second = app.call("GET", "/api/scheduler", params={"limit": 1, "cursor": first["nextCursor"]}).json()
    seen = [conversation["conversationId"] for page in (first, second) for conversation in page["conversations"]]
    assert seen == ids[::-1]


def test_a_batch_is_scheduled_repeated_and_cancelled(app):
    label = f"b-{time.time_ns()}"
    good = {"conversationText": "x", "endpoint": FAR, "delay": "1h", "labels": {"batch": label}}
    body, key = {"conversations": [good, {**good, "delay": "soon"}, good]}, {"Idempotency-Key": label}
    first, again = (app.call("POST", "/api/scheduler/batch", headers=key, json=body).json()["results"] for _ in range(2))
    app.made.extend(result["conversationId"] for result in first if "conversationId" in result)
    assert [first[0], first[2]] == [again[0], again[2]] and first[0]["conversationId"] != first[2]["conversationId"]
    assert [error["pointer"] for error in first[1]["problem"]["errors"]] == ["/delay"]
    problem(app.call("POST", "/api/scheduler/batch", json={"conversations": []}), 400)
    problem(app.call("POST", "/api/scheduler/cancel", json={}), 400)
    request, cancelled = {"filter": {"label": f"batch:{label}"}}, 0
    while True:
        answer = app.call("POST", "/api/scheduler/cancel", json=request).json()
        cancelled += answer["cancelled"]
        if "cursor" not in answer:
            break
        request["cursor"] = answer["cursor"]
    assert cancelled == 2
    assert app.status(first[0]["conversationId"])["status"] == "Cancelled"
    none = app.call("POST", "/api/scheduler/redeliver", json={"filter": {"label": f"batch:{label}"}}).json()
    assert (none["redelivered"], none["skipped"]) == (0, 0)


@pytest.mark.parametrize(("body", "pointer"), [
    ({}, "/conversationText"),
    ({"conversationText": "x", "endpoint": FAR, "scheduledTime": "tomorrow"}, "/scheduledTime"),
    ({"conversationText": "x", "endpoint": FAR, "scheduledTime": "2001-01-01T00:00:00Z"}, "/scheduledTime"),
    ({"conversationText": "x", "endpoint": "ftp://example.com", "scheduledTime": "2031-01-01T00:00:00Z"}, "/endpoint"),
    ({"conversationText": "x", "endpoint": "https://user@example.com/", "scheduledTime": "2031-01-01T00:00:00Z"}, "/endpoint"),
    ({"conversationText": "x", "endpoint": FAR, "scheduledTime": "2031-01-01T00:00:00Z", "colour": 1}, "/colour"),
    ({"conversationText": "x", "endpoint": FAR, "scheduledTime": "2031-01-01T00:00:00Z", "headers": {"Host": "a"}}, "/headers"),
])
def test_a_request_that_is_wrong_is_told_where(app, body, pointer):
    errors = problem(app.call("POST", "/api/scheduler/schedule", json=body), 400)["errors"]
    assert any(error["pointer"].startswith(pointer) and error["detail"] for error in errors), errors


def test_what_is_no_json_is_told_too(app):
    problem(app.call("POST", "/api/scheduler/schedule", data="{", headers={"Content-Type": "application/json"}), 400)


@pytest.mark.parametrize("unknown", ["01890000-0000-7000-8000-00000000000f", "no-id-at-all"])
def test_an_unknown_conversation_is_not_found(app, unknown):
    problem(app.call("GET", f"/api/scheduler/status/{unknown}"), 404)
    problem(app.call("DELETE", f"/api/scheduler/{unknown}"), 404)
    problem(app.call("POST", f"/api/scheduler/{unknown}/redeliver"), 404)


# Delivery


def test_a_conversation_is_delivered_at_its_time(app, receiver):
    answer, text = app.schedule(receiver.url, due=rfc3339(timedelta(seconds=3)))
    done = app.until(answer["conversationId"], lambda a: a["status"] in ("Completed", "Failed"))
    assert done["status"] == "Completed" and done["attempts"][-1]["outcome"] == "success", done
    problem(app.call("DELETE", f"/api/scheduler/{answer['conversationId']}"), 409)
    problem(app.call("POST", f"/api/scheduler/{answer['conversationId']}/redeliver"), 409)
    if receiver.arrived is None:
        return
    (at, _, headers, body), = [one for one in receiver.arrived if one[3]["conversationText"] == text]
    due = instant(answer["scheduledTime"])
    assert at >= due, "early"
    assert body["conversationId"] == headers["webhook-id"] == headers["idempotency-key"] == answer["conversationId"]
    assert headers["scheduler-attempt"] == "1" and headers["webhook-signature"].startswith("v1,")
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 300


def test_a_conversation_that_fails_says_why_and_can_be_sent_again(app, receiver):
    if receiver.arrived is None:
        pytest.skip("TEST_RECEIVER_URL answers 2xx; to see a failure, the deployment must be on this machine")
    answer, text = app.schedule(receiver.url + "gone", due=rfc3339(timedelta(0)))
    conversation = answer["conversationId"]
    failed = app.until(conversation, lambda a: a["status"] == "Failed")
    assert [attempt["httpStatus"] for attempt in failed["attempts"]] == [404]
    again = app.call("POST", f"/api/scheduler/{conversation}/redeliver")
    assert again.status_code == 200, again.text
    app.until(conversation, lambda a: a["status"] == "Failed" and len(a["attempts"]) == 2)
    arrived = [one for one in receiver.arrived if one[3]["conversationText"] == text]
    assert [headers["webhook-id"] for _, _, headers, _ in arrived] == [conversation] * 2


# Model Context Protocol


class Mcp:
    def __init__(self, app):
        self.app, self.last = app, 0

    def ask(self, method, **params):
        self.last += 1
        response = self.app.call(
            "POST", "/mcp", json={"jsonrpc": "2.0", "id": self.last, "method": method, "params": params},
            headers={"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"},
        )
        assert response.status_code == 200, response.text
        return response.json()["result"]

    def tool(self, name, **arguments):
        return self.ask("tools/call", name=name, arguments=arguments)


def test_an_agent_schedules_looks_lists_and_cancels_by_mcp(app):
    mcp = Mcp(app)
    client = {"name": "integration-test", "version": "1"}
    hello = mcp.ask("initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo=client)
    assert "tools" in hello["capabilities"]
    names = {tool["name"] for tool in mcp.ask("tools/list")["tools"]}
    assert {"scheduleConversation", "getConversationStatus", "cancelConversation", "listConversations"} <= names
    made = mcp.tool("scheduleConversation", conversationText="by an agent", scheduledTime="2031-01-31T09:30:00Z", endpoint=FAR)
    conversation = made["content"][0]["text"]
    assert app.status(conversation)["conversationText"] == "by an agent"
    assert mcp.tool("getConversationStatus", conversationId=conversation)["content"][0]["text"] == "Scheduled"
    assert not mcp.tool("listConversations").get("isError")
    assert mcp.tool("cancelConversation", conversationId=conversation)["content"][0]["text"] == "true"
    wrong = mcp.tool("scheduleConversation", conversationText="x", scheduledTime="soon", endpoint=FAR)
    assert wrong["isError"] is True and "scheduledTime" in wrong["content"][0]["text"]
