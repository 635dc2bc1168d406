"""Schedules, reads, lists and cancels with the generated client, and prints what it got."""

import os
import sys

sys.path.insert(0, sys.argv[1])

from scheduler_client import AuthenticatedClient, Client
from scheduler_client.api.conversations import (
    cancel_conversation, get_conversation_status, list_conversations, schedule_conversation
)
from scheduler_client.api.tokens import issue_token
from scheduler_client.models import Problem, ScheduleRequest, TokenRequest

url = os.environ["TEST_APP_URL"]
login = TokenRequest(client_id=os.environ["TEST_CLIENT_ID"], api_key=os.environ["TEST_API_KEY"])
token = issue_token.sync(client=Client(base_url=url), body=login).token
client = AuthenticatedClient(base_url=url, token=token, raise_on_unexpected_status=True)

request = ScheduleRequest(conversation_text="hello", endpoint="https://example.com/hook", delay="5m")
scheduled = schedule_conversation.sync(client=client, body=request)
shown = get_conversation_status.sync(scheduled.conversation_id, client=client)
listed = list_conversations.sync(client=client, limit=10).conversations
assert [it.conversation_id for it in listed] == [scheduled.conversation_id], listed
cancelled = cancel_conversation.sync(scheduled.conversation_id, client=client).cancelled
wrong = schedule_conversation.sync(client=client, body=ScheduleRequest(conversation_text="hello", endpoint="no", delay="5m"))
assert isinstance(wrong, Problem), wrong
print(shown.conversation_text, shown.status, len(listed), cancelled, wrong.errors[0].pointer)
