"""Logging in with a generic OAuth library that knows nothing of this service."""

import os

import pytest
import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc8414 import get_well_known_url

URL = os.environ["TEST_APP_URL"]
CLIENT = os.environ["TEST_CLIENT_ID"]
KEY = os.environ["TEST_API_KEY"]
METHODS = ["client_secret_basic", "client_secret_post"]


@pytest.fixture(scope="module")
def server():
    """The metadata of the authorization server, found from a refusal as RFC 9728 has it."""
    refused = requests.get(f"{URL}/api/scheduler")
    assert refused.status_code == 401
    challenge = refused.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer resource_metadata="')
    resource = requests.get(challenge.split('"')[1]).json()
    assert resource["resource"] == URL
    issuer = resource["authorization_servers"][0]
    metadata = requests.get(get_well_known_url(issuer, external=True)).json()
    assert metadata["issuer"] == issuer
    return metadata


def session(server, method, **settings):
    return OAuth2Session(
        CLIENT,
        settings.pop("key", KEY),
        token_endpoint=server["token_endpoint"],
        token_endpoint_auth_method=method,
        grant_type="client_credentials",
        **settings,
    )


@pytest.mark.parametrize("method", METHODS)
def test_a_token_opens_what_its_scope_says(server, method):
    assert method in server["token_endpoint_auth_methods_supported"]
    with session(server, method, scope="conversations:read") as client:
        token = client.fetch_token(resource=URL)
        assert (token["token_type"], token["scope"]) == ("Bearer", "conversations:read")
        assert client.get(f"{URL}/api/scheduler").status_code == 200
        refused = client.post(f"{URL}/api/scheduler/schedule", json={})
        assert refused.status_code == 403
        assert 'error="insufficient_scope", scope="conversations:write"' in refused.headers["WWW-Authenticate"]


@pytest.mark.parametrize("method", METHODS)
def test_a_token_that_is_over_is_replaced(server, method):
    with session(server, method) as client:
        first = client.fetch_token()
        client.token = {**first, "expires_at": 1}
        assert client.get(f"{URL}/api/scheduler").status_code == 200
        assert client.token["access_token"] != first["access_token"]


@pytest.mark.parametrize("method", METHODS)
def test_errors_are_what_the_library_expects(server, method):
    for settings, parameters, error in [
        ({"key": "wrong"}, {}, "invalid_client"),
        ({"scope": "conversations:admin"}, {}, "invalid_scope"),
        ({}, {"resource": "https://elsewhere.example"}, "invalid_target"),
        ({}, {"grant_type": "password"}, "unsupported_grant_type"),
    ]:
        with session(server, method, **settings) as client, pytest.raises(OAuthError) as refused:
            client.fetch_token(**parameters)
        assert refused.value.error == error and refused.value.description
