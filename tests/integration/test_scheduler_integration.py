# tests/integration/test_scheduler_integration.py
import os
import pytest
import requests
import json
import time
from datetime import datetime, timedelta

# Test variables
TEST_APP_URL = os.environ.get("TEST_APP_URL", "http://localhost:8000")
TEST_CLIENT_ID = os.environ.get("TEST_CLIENT_ID")
TEST_API_KEY = os.environ.get("TEST_API_KEY")

def test_scheduler_health():
    """Test that the scheduler service is healthy."""
    response = requests.get(f"{TEST_APP_URL}/health")
    assert response.status_code == 200
    assert response.json()["status"] == "ok"

def test_scheduler_auth():
    """Test authentication against the scheduler service."""
    # Request JWT token
    auth_payload = {
        "clientId": TEST_CLIENT_ID,
        "apiKey": TEST_API_KEY
    }

    response = requests.post(
        f"{TEST_APP_URL}/api/auth/token",
        json=auth_payload
    )

    assert response.status_code == 200
    assert "token" in response.json()

def test_schedule_conversation():
    """Test scheduling a conversation."""
    # First authenticate
    auth_payload = {
        "clientId": TEST_CLIENT_ID,
        "apiKey": TEST_API_KEY
    }

    auth_response = requests.post(
        f"{TEST_APP_URL}/api/auth/token",
        json=auth_payload
    )

    token = auth_response.json()["token"]

    # Schedule a conversation
    scheduled_time = (datetime.now() + timedelta(minutes=5)).isoformat()

    schedule_payload = {
        "conversationText": "This is a test scheduled message",
        "scheduledTime": scheduled_time,
        "endpoint": "https://example.com/callback"
    }

    headers = {"Authorization": f"Bearer {token}"}

    response = requests.post(
        f"{TEST_APP_URL}/api/scheduler/schedule",
        json=schedule_payload,
        headers=headers
    )

    assert response.status_code == 200
    data = response.json()
    assert "conversationId" in data

    conversation_id = data["conversationId"]

    # Check conversation status
    status_response = requests.get(
        f"{TEST_APP_URL}/api/scheduler/status/{conversation_id}",
        headers=headers
    )

    assert status_response.status_code == 200
    assert status_response.json()["status"] in ["Scheduled", "InProgress"]

    # Cancel conversation
    cancel_response = requests.delete(
        f"{TEST_APP_URL}/api/scheduler/{conversation_id}",
        headers=headers
    )

    assert cancel_response.status_code == 200
    assert cancel_response.json()["cancelled"] == True
