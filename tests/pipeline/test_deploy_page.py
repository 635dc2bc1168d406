"""The commands of docs/deploy.md, pasted into bash as they stand, with stand-ins for the programs that call Azure."""

import re
from pathlib import Path

import pytest
from stand_in import Checkout, option

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/deploy.md").read_text()
BLOCKS = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
APPS = {"": "other-app", "Dev": "other-app-dev"}


def connection(suffix):
    return f"InstrumentationKey=key{suffix};IngestionEndpoint=https://b.example/;Text=it's $HOME & `x`"


def outputs(suffix):
    show = f"deployment group show --resource-group other-rg --name {APPS[suffix]} --query properties.outputs."
    return [
        [f"{show}appInsightsKey", f"key{suffix}"],
        [f"{show}appInsightsConnectionString", connection(suffix)],
    ]


ANSWERS = [
    *outputs(""), *outputs("Dev"),
    ["account show --query id", "the-subscription"],
    ["pipelines variable-group list", "17"],
    ["devops service-endpoint list --query [?name=='My connection'].authorization", "the-application"],
    ["devops service-endpoint list --query [?name=='My connection'].id", "the-connection"],
    ["ad sp show --id the-application", "the-principal"],
    ["keyvault secret show --vault-name other-kv-dev --name SCHEDULER-CLIENT-ID --query", "integration"],
    ["keyvault secret show --vault-name other-kv-dev --name SCHEDULER-API-KEY --query", "dev key; $HOME"],
    ["keyvault secret show --vault-name other-kv --name SCHEDULER-API-KEY --query", "production-key"],
    # JWT-SIGNING-KEYS of dev is there already; the other secrets are missing.
    ["keyvault secret show --vault-name other-kv-dev --name JWT-SIGNING-KEYS", ""],
    ["keyvault secret show", 1],
]


@pytest.fixture(scope="module")
def pasted(tmp_path_factory):
    checkout = Checkout(tmp_path_factory.mktemp("page"))
    checkout.azure.answers("az", ANSWERS)
    checkout.ran = checkout.paste(BLOCKS)
    return checkout


def test_every_command_of_the_page_runs_as_it_stands(pasted):
    assert pasted.ran.returncode == 0, pasted.ran.stderr
    assert '"status":"Completed"' in pasted.ran.stdout
    assert "ok      GET    /health/ready" in pasted.ran.stdout
    # The page would be easy to paste if it had no commands.
    assert len(BLOCKS) >= 12 and len(pasted.azure.calls()) > 60


def test_the_client_of_an_app_is_added_at_the_deployed_service(pasted):
    url = "https://other-app.azurewebsites.net"
    assert [call for call in pasted.azure.calls() if call[0] == "mcp-scheduler"] == [
        ["mcp-scheduler", "client", "add", "anna", "--url", url],
    ]


def test_the_page_has_no_name_of_its_own(pasted):
    for call in pasted.azure.calls():
        assert not [word for word in call if re.search("mcp-scheduler-|mcpschedulerstorage", word)], call


def test_the_variable_group_gets_every_value_complete(pasted):
    create, = pasted.calls("pipelines", "variable-group", "create")
    assert create[create.index("--variables") + 1:] == [
        "appInsightsKey=keyDev", f"appInsightsConnectionString={connection('Dev')}",
        "appInsightsKeyProd=key", f"appInsightsConnectionStringProd={connection('')}",
    ]
    secrets = pasted.calls("pipelines", "variable-group", "variable", "create")
    given = {option(call, "--name"): (option(call, "--value"), option(call, "--group-id"), option(call, "--secret")) for call in secrets}
    assert given == {"CLIENT_ID": ("integration", "17", "true"), "API_KEY": ("dev key; $HOME", "17", "true")}


def test_a_secret_that_is_there_already_is_kept(pasted):
    made = [(option(call, "--vault-name"), option(call, "--name")) for call in pasted.calls("keyvault", "secret", "set")]
    names = [
        "SCHEDULER-CLIENT-ID", "SCHEDULER-API-KEY", "JWT-SIGNING-KEYS", "WEBHOOK-SIGNING-SECRETS", "DATA-ENCRYPTION-KEYS",
    ]
    expected = {(vault, name) for vault in ["other-kv-dev", "other-kv"] for name in names}
    assert sorted(made) == sorted(expected - {("other-kv-dev", "JWT-SIGNING-KEYS")})


def test_the_service_connection_ends_with_two_roles(pasted):
    scope = "/subscriptions/the-subscription/resourceGroups/other-rg"
    given = [option(call, "--role") for call in pasted.calls("role", "assignment", "create") if option(call, "--scope") == scope]
    assert given == ["Website Contributor", "Reader"]
    removed, = pasted.calls("role", "assignment", "delete")
    assert (option(removed, "--assignee"), option(removed, "--role")) == ("the-principal", "Contributor")


def test_an_agent_of_your_own_replaces_every_hosted_one(pasted):
    for file in ["azure-pipelines.yml", "pipelines/deploy.yml"]:
        text = (pasted.place / file).read_text()
        assert "vmImage:" not in text and text.count("name: Default") == (ROOT / file).read_text().count("vmImage:")


def test_the_teardown_removes_what_the_page_has_made(pasted):
    for made, removed in [
        (("group", "create"), ("group", "delete")),
        (("pipelines", "create"), ("pipelines", "delete")),
        (("pipelines", "variable-group", "create"), ("pipelines", "variable-group", "delete")),
        (("repos", "create"), ("repos", "delete")),
    ]:
        assert pasted.calls(*made) and pasted.calls(*removed), removed
    purged, = pasted.calls("keyvault", "purge")
    assert option(purged, "--name") == "other-kv-dev", "the vault of production is protected"
    deleted = pasted.calls("monitor", "log-analytics", "workspace", "delete")
    assert [option(call, "--workspace-name") for call in deleted] == ["other-app-dev-logs", "other-app-logs"]
    assert pasted.azure.calls().index(deleted[0]) < pasted.azure.calls().index(pasted.calls("group", "delete")[0])
    connection, = pasted.calls("devops", "service-endpoint", "delete")
    assert option(connection, "--id") == "the-connection" and "--deep" in connection


def test_no_command_has_a_place_to_fill_in():
    """The values that a person must choose are in the first lines of steps 1 and 7, and are valid as they are."""
    for block in BLOCKS:
        assert "…" not in block and not re.search(r"=<|<[a-z]", block), block
