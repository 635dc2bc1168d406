"""docs/runbook.md: every alert has its part, and every script exists. A test of src/cli checks the commands."""

import json
import os
import re
from pathlib import Path

import pytest
from stand_in import Checkout, option

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/runbook.md").read_text()
BLOCKS = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
ALERTS = [alert["name"] for alert in json.loads((ROOT / "infra/main.json").read_text())["variables"]["alerts"]]


def part(heading):
    return re.split(r"^##+ ", PAGE.split(f"\n{heading}\n")[1], flags=re.MULTILINE)[0]


def test_every_alert_has_a_part_in_the_order_of_the_template():
    assert re.findall(r"^### (.*)$", PAGE, re.MULTILINE) == ALERTS


@pytest.mark.parametrize("alert", ALERTS)
def test_the_part_of_an_alert_says_where_to_look_and_when_it_is_over(alert):
    text = part(f"### {alert}")
    assert "**First look:**" in text and "**Over when**" in text


def test_the_set_up_describes_every_alert():
    table = (ROOT / "docs/deploy.md").read_text().split("## Alerts")[1].split("\n## ")[0]
    assert re.findall(r"^\| ([a-z-]+) \|", table, re.MULTILINE)[1:] == ALERTS


def test_every_secret_of_the_deployment_can_be_changed():
    secrets = re.findall(r"^  secret ([A-Z-]+) ", (ROOT / "docs/deploy.md").read_text(), re.MULTILINE)
    assert len(secrets) == 5
    # The name of the first client is no secret that could leak.
    missing = [name for name in secrets if f"put {name} " not in part("## Rotating secrets")]
    assert missing == ["SCHEDULER-CLIENT-ID"]


def test_every_script_exists():
    for script in re.findall(r"\bscripts/\w+", PAGE):
        assert os.access(ROOT / script, os.X_OK), script


def test_documented_settings_open_both_addresses_of_loopback():
    """A receiver in Node on `localhost` often listens on ::1 alone."""
    files = [ROOT / "README.md", ROOT / "local.settings.json.example", *(ROOT / "docs").rglob("*.md")]
    opened = [line for file in files for line in file.read_text().splitlines() if re.search(r"NETWORKS\W+127", line)]
    assert len(opened) >= 3
    for line in opened:
        assert "127.0.0.0/8,::1/128" in line, line


ANSWERS = [
    ["keyvault secret show --vault-name other-kv --name JWT-SIGNING-KEYS", "k1:old"],
    ["keyvault secret show --vault-name other-kv --name WEBHOOK-SIGNING-SECRETS", "whsec_old"],
    ["keyvault secret show --vault-name other-kv --name DATA-ENCRYPTION-KEYS", "d1:old"],
    ["storage account show-connection-string", "AccountName=a;AccountKey=second"],
]


@pytest.fixture(scope="module")
def pasted(tmp_path_factory):
    checkout = Checkout(tmp_path_factory.mktemp("page"))
    checkout.azure.answers("az", ANSWERS)
    checkout.ran = checkout.paste(BLOCKS)
    return checkout


def test_every_command_of_the_page_runs_as_it_stands(pasted):
    assert pasted.ran.returncode == 0, pasted.ran.stderr
    for call in pasted.azure.calls():
        assert not [word for word in call if re.search("mcp-scheduler-|mcpschedulerstorage", word)], call


def test_a_new_secret_comes_to_every_process_before_it_is_used_and_the_old_one_leaves_last(pasted):
    made = [(option(call, "--name"), option(call, "--value")) for call in pasted.calls("keyvault", "secret", "set")]
    keys = [value for name, value in made if name == "JWT-SIGNING-KEYS"]
    new = keys[-1]
    assert re.fullmatch(r"k\d{8}:[0-9a-f]{64}", new)
    assert keys == [f"k1:old,{new}", f"{new},k1:old", new]
    secrets = [value for name, value in made if name == "WEBHOOK-SIGNING-SECRETS"]
    assert secrets == [f"{secrets[-1]} whsec_old", secrets[-1]]
    encryption = [value for name, value in made if name == "DATA-ENCRYPTION-KEYS"]
    new = encryption[0].removeprefix("d1:old,")
    assert re.fullmatch(r"d\d{8}:[0-9a-f]{64}", new)
    assert encryption == [f"d1:old,{new}", f"{new},d1:old"]


def test_the_settings_that_would_win_over_the_vault_are_removed(pasted):
    removed, = pasted.calls("functionapp", "config", "appsettings", "delete")
    secrets = re.findall(r"^  secret ([A-Z-]+) ", (ROOT / "docs/deploy.md").read_text(), re.MULTILINE)
    assert {name.replace("-", "_") for name in secrets} <= set(removed)


def test_the_key_of_the_account_is_renewed_while_the_app_uses_the_other_one(pasted):
    order = [call[1:] for call in pasted.azure.calls() if "renew" in call or any("AzureWebJobsStorage=" in word for word in call)]
    assert [option(one, "--key") if "renew" in one else option(one, "--slot") if "--slot" in one else "app" for one in order] == [
        "secondary", "app", "staging", "primary", "app", "staging",
    ]
