"""The arguments of a call that schedules a conversation."""

CONVERSATION = {"conversationText": "x", "scheduledTime": "2035-01-01T00:00:00Z", "endpoint": "https://example.com/hook"}
