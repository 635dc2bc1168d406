"""The schemas of the tools, read by a validator that knows nothing of this service, beside what the service does.

Each tool is called with some hundred argument objects. The validator and the service must agree on each of them, except
where LENIENT or BEYOND says why not.
"""

import itertools
import json
import os
import random
import re
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import requests
from jsonschema import Draft202012Validator

URL = os.environ["TEST_APP_URL"]
CORPUS = Path(__file__).parents[1] / "fixtures/corpora/requests.json"
NOWHERE = "http://127.0.0.1:1/"


def hours(number):
    return (datetime.now(timezone.utc) + timedelta(hours=number)).isoformat(timespec="seconds").replace("+00:00", "Z")


CONVERSATION = {"conversationText": "hello", "scheduledTime": hours(10_000), "endpoint": NOWHERE}
NOTE = {"conversationText": "hello", "delay": "500d", "deliver": "inbox"}
REPORT = {
    "conversationText": "hello", "endpoint": NOWHERE, "delay": "500d", "paused": True,
    "recurrence": {"cron": "0 9 * * *", "timeZone": "Europe/Berlin"},
}
# In the place of what a call names: it is made for each call, by `made_for`.
MADE = "<made>"
# The argument objects that others are made from. Those that look at all conversations come first, while there are few.
BASES = {
    "listConversations": [{}, {"status": "Failed"}, {"order": "due"}],
    "cancelConversations": [{"filter": {"label": "team:nobody"}}],
    "redeliverConversations": [{"filter": {"label": "team:nobody"}}],
    "scheduleConversation": [CONVERSATION, NOTE, REPORT],
    "scheduleNamedConversation": [{**base, "name": MADE} for base in (CONVERSATION, NOTE, REPORT)],
    "updateConversation": [{"conversationId": MADE}],
    "scheduleBatch": [{"conversations": [CONVERSATION]}],
    "previewTime": [{"scheduledTime": hours(10_000), "timeZone": "Europe/Berlin"}, {"recurrence": {"cron": "0 9 * * *"}}],
    "receiveConversations": [{}],
    "acknowledgeConversation": [{"conversationId": MADE, "receipt": MADE}],
    "getConversationStatus": [{"conversationId": MADE}],
    "cancelConversation": [{"conversationId": MADE}],
    "waitForConversation": [{"conversationId": MADE}],
    "redeliverConversation": [{"conversationId": MADE}],
    "runConversation": [{"conversationId": MADE}],
    "getNamedConversation": [{"name": MADE}],
    "cancelNamedConversation": [{"name": MADE}],
    "getCurrentTime": [{}],
}
# The objects inside of others.
INNER = {
    "recurrence": {"cron": "0 9 * * *"},
    "retry": {"maxAttempts": 3},
    "successWhen": {"pointer": "/ok", "equals": True},
    "onFailed": {"endpoint": NOWHERE},
    "onCompleted": {"endpoint": NOWHERE},
    "filter": {"label": "team:nobody"},
}
# A property, and the one whose place it takes.
INSTEAD = {"delay": "scheduledTime", "deliver": "endpoint"}
# Values of every type, for every property.
ANYTHING = [None, "", "x", "x" * 300, "1", 1, 1.0, 1.5, -1, 10**12, True, [], ["x"], {}, {"x": 1}, {"x": "y"}]
# Numbers beside every bound.
NUMBERS = [0, 2, 9, 10, 11, 20, 21, 50, 51, 52, 53, 60, 61, 100, 101, 366, 367, 3600, 3601, 2**32 - 1, 2**32, "10", 10.0]
TIMES = [
    hours(1), hours(-1), hours(200_000), "2030-01-31T09:30:00", "2030-02-30T00:00:00Z", "2030-01-31T09:30:00.5Z", "tomorrow",
    "2030-01-31T09:30:00+01:00[Europe/Berlin]", "2030-01-31", "1893456000", 1893456000, f"2030-01-01T00:00:00.{'1' * 120}Z",
]
ZONES = ["UTC", "america/chicago", "Mars/Olympus", "+01:00", "CET"]
DURATIONS = ["90s", "PT1H30M", "500d", "90", 90, "-5m", "20y", "1M", "soon", "5m" + " " * 130]
URLS = [
    NOWHERE, NOWHERE + "x" * 2100, "https://user:key@127.0.0.1/", "ftp://127.0.0.1/", "http://example.com/", "hook",
]
HEADERS = [
    {"X-A": "1"}, {"X-A": 1}, {"X-A": None}, {"Content-Length": "1"}, {"a b": "1"}, {"": "1"}, {"X-A": "a\r\nb"},
    {f"X-{i}": "1" for i in range(32)}, {f"X-{i}": "1" for i in range(33)}, {"X-A": "1", "x-a": "2"},
]
VALUES = {
    "status": ["Scheduled", "scheduled", "INPROGRESS", "Failed", "Completed", "Cancelled", "Done"],
    "order": ["created", "Due", "ended", "asc"],
    "deliver": ["inbox", "EVENTS", "endpoint"],
    "method": ["POST", "put", "PATCH", "GET", "delete", "HEAD"],
    "format": ["json", "Text", "cloudevents", "xml"],
    "outcome": ["done", "failed", "Done", "retry"],
    "conversationText": ["hello", "a\0b", "x" * 196_608, "x" * 196_609, "ü" * 98_305],
    "scheduledTime": TIMES, "from": TIMES, "to": TIMES, "endTime": TIMES,
    "delay": DURATIONS, "expireAfter": DURATIONS,
    "timeZone": ZONES,
    "endpoint": URLS,
    "headers": HEADERS,
    "labels": [
        {"team": "ops"}, {"TEAM": "ops"}, {"team": 1}, {"team": None}, {"team": "x" * 65}, {"": "x"}, {"team": ""},
        {f"a{i}": "x" for i in range(8)}, {f"a{i}": "x" for i in range(9)},
    ],
    "label": ["team:ops", "team", "TEAM:ops", "team:" + "x" * 65],
    "endpointHost": ["example.com", "EXAMPLE.com", "https://example.com", "a b", "x" * 256],
    "additionalInfo": [{"a": {"b": [1.50, None]}}, {"a": "x" * 17_000}],
    "body": [
        {"text": "{{conversationText}}"}, {"text": "{{nothing}}"}, {"text": "x" * 66_000}, "{{conversationText}}", '{"a": 1}',
    ],
    "threadId": ["thread-7", "a b", "ü", "x" * 128, "x" * 129],
    "idempotencyKey": ["k" * 255, "k" * 256, "a b", '"' + "k" * 255 + '"', '"k', "ü"],
    "name": ["a.b_c-1", "a b", "x" * 128, "x" * 129],
    "cron": ["0 9 * * 1-5", "0 9 * * FRI#2", "* * * * * *", "0 9 * *", "0 9 31 2 *", "@daily", "0 9 * * * " + " " * 260],
    "equals": ["ok", False, 2.5, "x" * 1100],
    "pointer": ["/ok", "ok", "/" + "x" * 255, "/" + "x" * 256],
    "absent": [False],
    "conversationId": [str(uuid.uuid4()), "01890000-0000-7000-8000-00000000000f"],
    "receipt": ["0-1-00000000000007", "x" * 64, "x" * 65],
    "cursor": ["x" * 256, "x" * 257],
    "waitSeconds": [0],
    "conversations": [
        [], [CONVERSATION] * 2, [CONVERSATION] * 100, [CONVERSATION] * 101, [CONVERSATION, 1], [NOTE, {}], [REPORT],
        CONVERSATION,
    ],
}


# The text of a call about a conversation that is not there: the rest of its arguments is not looked at.
NOT_THERE = "This client has no conversation with this"


def place(error):
    """The innermost field that an error of the validator is in."""
    return next((part for part in reversed(error.absolute_path) if isinstance(part, str)), None)


# What the service accepts although the schema does not offer it, by an error of the validator, and why.
LENIENT = {
    "programs send null for a field without a value": lambda tool, e: (
        e.instance is None and e.validator in ("type", "enum")
    ),
    "words are read in any letter case, but those of a receiver": lambda tool, e: (
        e.validator == "enum" and place(e) != "outcome" and str(e.instance).lower() in map(str.lower, e.validator_value)
    ),
    "REST takes other JSON there, and a model is offered only an object": lambda tool, e: (
        e.validator == "type" and place(e) in ("additionalInfo", "body")
    ),
    "some models write the number as a text": lambda tool, e: (
        (tool, e.validator, place(e)) == ("listConversations", "type", "limit") and str(e.instance).isdigit()
    ),
    "generated clients send an empty filter": lambda tool, e: e.validator == "enum" and e.instance == "",
    "spaces around a time, and the quotation marks of a key, do not count": lambda tool, e: (
        e.validator == "maxLength" and str(e.instance).strip(' "') != e.instance
    ),
}
# What the service refuses although the schema allows it, by the sentence of the refusal: no schema of a client can say it.
BEYOND = {
    "when": r"(scheduledTime|endTime|from|to) (is|has|names|must be later than|needs a status)",
    "how long": r"(delay|expireAfter) (is (not a duration|more than|\S+; it must be from)|has (no unit|months)|must not be )",
    "which zone": r"timeZone is (not a time zone|a UTC offset)",
    "which cron expression": r"recurrence/(cron (has|is|cannot|never fires)|everyDays must not be given together)",
    "which URL": r"(endpoint|onFailed/endpoint|onCompleted/endpoint) (must (begin|use|not)|is (not|required: an https URL))",
    "which header": r"headers has (the|a) ",
    "which label": r"labels? (has (the|a) |must be key:value)",
    "which host": r"endpointHost must be a host alone",
    "which characters": (
        r"(threadId|name|idempotencyKey|conversationText) (must be 1 to|must not contain|has a space|begins with a quotation)"
    ),
    "how many bytes": r"(conversationText|additionalInfo|body|successWhen/equals|successWhen/pointer) has \d+ bytes",
    "which pointer": r"successWhen/pointer is not a JSON pointer",
    "which placeholder": r"body/\S* has the unknown placeholder",
    "a text that contains the JSON": r"body is a string that contains JSON",
    "which fields together": (
        r"is for a (request to an endpoint|conversation with a recurrence)|is (sent instead|not sent with)"
        r"|must have exactly one of equals and absent|absent must be true"
    ),
    "which order of a status": r"order (must be \w+ with the status|can be ended only)",
    "what was there before": (
        rf"{NOT_THERE}|receipt must be the receipt|attempt of the receipt is over|cursor |idempotency key had other content"
    ),
}


class Service:
    def __init__(self):
        self.session = requests.Session()
        credentials = {"clientId": os.environ["TEST_CLIENT_ID"], "apiKey": os.environ["TEST_API_KEY"]}
        token = self.session.post(f"{URL}/api/auth/token", json=credentials).json()["token"]
        self.session.headers["Authorization"] = f"Bearer {token}"
        self.session.headers["Accept"] = "application/json, text/event-stream"

    def send(self, method, **params):
        answer = self.session.post(f"{URL}/mcp", json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    def call(self, tool, arguments):
        return self.send("tools/call", name=tool, arguments=arguments)

    def done(self, tool, arguments):
        result = self.call(tool, arguments)
        assert not result.get("isError"), (tool, arguments, result)
        return result["structuredContent"]


    def schedule(self, **fields):
        return self.done("scheduleConversation", {"conversationText": "hello", **fields})["conversationId"]

    def received(self, **fields):
        """The arguments that acknowledge a conversation of the inbox."""
        self.schedule(delay="0s", deliver="inbox", **fields)
        item = self.done("receiveConversations", {"waitSeconds": 20})["conversations"][0]
        return {"conversationId": item["conversationId"], "receipt": item["receipt"]}

    def failed(self):
        while True:
            over = self.received(retry={"maxAttempts": 1}, onFailed={"endpoint": NOWHERE})
            self.done("acknowledgeConversation", {**over, "outcome": "failed"})
            if self.done("getConversationStatus", {"conversationId": over["conversationId"]})["status"] == "Failed":
                return over["conversationId"]

    def made_for(self, tool):
        """The arguments that name something, which is there now and in the state that the tool needs."""
        match tool:
            case "redeliverConversation":
                return {"conversationId": self.failed()}
            case "acknowledgeConversation":
                return self.received()
            case "receiveConversations":
                # So that no call waits.
                self.schedule(delay="0s", deliver="inbox")
                return {}
            case "waitForConversation":
                ended = {"conversationId": self.schedule(delay="500d", deliver="inbox")}
                self.done("cancelConversation", ended)
                return ended
            case "scheduleNamedConversation":
                return {"name": f"n-{uuid.uuid4()}"}
            case "getNamedConversation" | "cancelNamedConversation":
                name = f"n-{uuid.uuid4()}"
                self.done("scheduleNamedConversation", {**NOTE, "name": name})
                return {"name": name}
            case "updateConversation":
                return {"conversationId": self.schedule(delay="500d", endpoint=NOWHERE)}
            case "getConversationStatus" | "cancelConversation" | "runConversation":
                return {"conversationId": self.schedule(delay="500d", deliver="inbox")}
        return {}


@pytest.fixture(scope="module")
def service():
    return Service()


@pytest.fixture(scope="module")
def tools(service):
    return {tool["name"]: tool for tool in service.send("tools/list")["tools"]}


def values(name, schema):
    yield from ANYTHING
    yield from VALUES.get(name, NUMBERS if schema.get("type") == "integer" else [])
    if "properties" in schema:
        yield from changed(INNER[name], schema)
    if "items" in schema:
        yield from ([item] for item in changed(CONVERSATION, schema["items"]))


def changed(base, schema):
    """The object with each value of each property, without each property, and with properties that the schema lacks."""
    yield base
    for name, part in schema["properties"].items():
        yield {key: value for key, value in base.items() if key != name}
        without = {key: value for key, value in base.items() if key != INSTEAD.get(name)}
        for value in values(name, part):
            yield {**without, name: value}
        yield {**base, name.upper(): "x"}
    yield {**base, "colour": 1}


def combined(bases, schema, chosen):
    """The objects with several values at the same time."""
    names = list(schema["properties"])
    while True:
        some = chosen.sample(names, min(len(names), chosen.randint(2, 4)))
        several = {name: chosen.choice(list(values(name, schema["properties"][name]))) for name in some}
        yield {**chosen.choice(bases), **several}


def corpus():
    """The schedule requests of the corpus that are small."""
    cases = (case["input"] for case in json.loads(CORPUS.read_text()))
    bodies = (case["json"] for case in cases if case.get("path") == "/api/scheduler/schedule" and "json" in case)
    small = (json.dumps(body) for body in bodies if "$repeat" not in json.dumps(body))
    return [json.loads(text.replace("{{now+1h}}", hours(1))) for text in small]


def objects(tool, schema):
    bases = BASES[tool]
    chosen = random.Random(tool)
    one = list(changed(bases[0], schema))
    # The fields of scheduleConversation are in other tools too, which need not try all values.
    most = 500 if tool == "scheduleConversation" else 200
    one = chosen.sample(one, min(most, len(one)))
    known = corpus() if tool == "scheduleConversation" else []
    return [*bases, *one, *itertools.islice(combined(bases, schema, chosen), 80), *known]


def names_of(error):
    """The fields that an error of the validator is about."""
    if error.validator == "required":
        return [name for name in error.validator_value if name not in error.instance]
    if error.validator == "additionalProperties" and error.validator_value is False:
        return [name for name in error.instance if name not in error.schema["properties"]]
    # An item has no name: its number is told.
    return [] if error.absolute_path and isinstance(error.absolute_path[-1], int) else [place(error)]


def is_later(tool, error, text):
    """Whether the service looks at it only when something else is right."""
    if NOT_THERE in text or (tool == "updateConversation" and "- conversationId " in text):
        return True
    if tool == "scheduleBatch":
        return text.startswith("The request is not valid.") and len(error.absolute_path) > 1
    return place(error) == "cursor"


def refusal(result):
    """What the service says against the arguments; nothing if it accepts them."""
    if result.get("isError"):
        return result["content"][0]["text"]
    failed = [item for item in result["structuredContent"].get("results", []) if "problem" in item]
    return json.dumps(failed) if failed else ""


def sentences(text):
    """The errors in a refusal, each of which begins with the name of a field."""
    return re.findall(r"^(?:- |\d+: not scheduled\. )(.*)$", text, re.M) or [text]


def disagreement(tool, validator, arguments, result):
    errors, text = list(validator.iter_errors(arguments)), refusal(result)
    wrong = [error for error in errors if not any(rule(tool, error) for rule in LENIENT.values())]
    if not text:
        return [f"accepted, but {error.json_path} breaks {error.validator}" for error in wrong]
    unnamed = [name for error in wrong for name in names_of(error) if name not in text and not is_later(tool, error, text)]
    if unnamed:
        return [f"refused without the names {unnamed}: {text}"]
    if not errors:
        return [f"refused: {line}" for line in sentences(text) if not any(re.search(kind, line) for kind in BEYOND.values())]
    return []


def strict(schema):
    """The schema without room for what it does not describe."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {"additionalProperties": False} if "properties" in schema and schema.get("type") == "object" else {}
    return {**closed, **{key: strict(value) for key, value in schema.items()}}


def results(tool):
    """The validator of the results of a tool."""
    return Draft202012Validator(strict(tool["outputSchema"]))


@pytest.mark.parametrize("tool", BASES)
def test_the_validator_and_the_service_agree_on_every_call(service, tools, tool):
    schema, output = Draft202012Validator(tools[tool]["inputSchema"]), results(tools[tool])
    wrong = []
    for arguments in objects(tool, tools[tool]["inputSchema"]):
        made = service.made_for(tool) if MADE in arguments.values() or tool == "receiveConversations" else {}
        arguments = {name: made[name] if value == MADE else value for name, value in arguments.items()}
        result = service.call(tool, arguments)
        said = disagreement(tool, schema, arguments, result)
        if result.get("isError"):
            said += ["an error has no structured content"] if "structuredContent" in result else []
        else:
            said += [f"has the result {e.json_path}: {e.message}" for e in output.iter_errors(result["structuredContent"])]
        shown = {name: value if len(str(value)) < 100 else f"{str(value)[:99]}…" for name, value in arguments.items()}
        wrong += [f"{line[:300]} <- {shown}" for line in said]
    assert not wrong, f"{len(wrong)} calls of {tool}:\n" + "\n".join(wrong[:50])



def test_the_schemas_are_valid_and_every_tool_is_called(tools):
    assert set(tools) == set(BASES)
    for tool in tools.values():
        for schema in (tool["inputSchema"], tool["outputSchema"]):
            assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema" and schema["type"] == "object"
            Draft202012Validator.check_schema(schema)


def test_every_record_is_as_its_schema_says(service, tools):
    record, page = (results(tools[name]) for name in ("getConversationStatus", "listConversations"))
    seen = set()
    for status in (None, "Scheduled", "InProgress", "Completed", "Failed", "Cancelled"):
        listed = service.done("listConversations", {"status": status, "limit": 100})
        page.validate(listed)
        for summary in listed["conversations"]:
            found = service.done("getConversationStatus", {"conversationId": summary["conversationId"]})
            record.validate(found)
            seen |= {found["status"], *found}
    assert {"Scheduled", "InProgress", "Failed", "Cancelled", "recurrence", "lastError", "successWhen"} <= seen, seen
