"""Changes generated requests: nothing may be sent to another machine, and valid requests are to be accepted."""

import os

import schemathesis

ENDPOINT = os.environ["TEST_ENDPOINT"]
# Fields with rules that the schema does not tell.
DROPPED = (
    "body", "delay", "deliver", "expireAfter", "headers", "labels", "onCompleted", "onFailed", "paused", "recurrence",
    "successWhen", "threadId", "timeZone",
)


def conversations(body):
    """The conversations of a body: the body itself and the items of a batch."""
    items = body.get("conversations") if isinstance(body, dict) else None
    return [part for part in [body, *(items if isinstance(items, list) else [])] if isinstance(part, dict)]


@schemathesis.hook
def filter_case(context, case):
    """Leaves out empty parameters: they count as absent, so they are accepted although no schema allows them."""
    return "" not in (case.query or {}).values()


@schemathesis.hook
def before_call(context, case, kwargs):
    is_positive = case.meta is not None and case.meta.generation.mode.is_positive
    for conversation in conversations(case.body):
        if is_positive and "conversationText" in conversation:
            for name in DROPPED:
                conversation.pop(name, None)
            conversation.update(scheduledTime="2035-01-31T09:30:00Z", endpoint=ENDPOINT)
        # A request that waits is a slow request.
        if conversation.get("waitSeconds") in range(1, 21):
            conversation["waitSeconds"] = 0
        for target in (conversation, conversation.get("onCompleted"), conversation.get("onFailed")):
            if isinstance(target, dict) and isinstance(target.get("endpoint"), str):
                target["endpoint"] = ENDPOINT
