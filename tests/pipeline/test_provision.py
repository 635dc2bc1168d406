"""scripts/names and scripts/provision, with stand-ins for the programs that call Azure."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from stand_in import Azure, option

ROOT = Path(__file__).resolve().parents[2]
NAMES = yaml.safe_load((ROOT / "infra/names.yml").read_text())["variables"]


@pytest.fixture
def azure(tmp_path):
    return Azure(tmp_path)


# Names


@pytest.fixture
def copy(tmp_path):
    """A place with scripts/names and its own infra/names.yml."""
    for file in ["scripts/names", "infra/names.yml"]:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


def names(place, *arguments):
    return subprocess.run([place / "scripts/names", *arguments], capture_output=True, text=True, cwd="/")


def test_bash_and_the_pipeline_read_the_same_names():
    show = "; ".join(f'printf "%s\\n" "${name}"' for name in NAMES)
    ran = subprocess.run(["bash", "-euc", f'eval "$({ROOT}/scripts/names)"; {show}'], capture_output=True, text=True)
    assert ran.stdout.splitlines() == list(NAMES.values()), ran.stderr
    for name, value in NAMES.items():
        assert names(ROOT, name).stdout == f"{value}\n"


def test_an_unknown_name_is_an_error():
    ran = names(ROOT, "appname")
    assert ran.returncode == 1 and "infra/names.yml has no appname" in ran.stderr


@pytest.mark.parametrize("value", ["My connection (1)", '"https://a.example"', '""'])
def test_a_value_is_read_as_yaml_reads_it(copy, value):
    file = copy / "infra/names.yml"
    file.write_text(f"variables:\n  appName: {value}\n")
    assert names(copy, "appName").stdout == f"{yaml.safe_load(file.read_text())['variables']['appName']}\n"


@pytest.mark.parametrize("line", [
    "appName: '; touch /never; '", "appName: a # b", "appName: $(date)", 'appName: "a', "  appName: a", "appName a",
])
def test_a_line_that_bash_could_read_otherwise_is_an_error(copy, line):
    with open(copy / "infra/names.yml", "a") as file:
        file.write(f"  {line}\n")
    ran = names(copy)
    assert (ran.returncode, ran.stdout) == (1, "") and line.strip() in ran.stderr


# Provision

# Bash reads each of these characters in its own way.
CONNECTION = "InstrumentationKey=a;IngestionEndpoint=https://b.example/;Text=it's $HOME & `more` \"x\""
SHOW = f"deployment group show --resource-group {NAMES['resourceGroupName']} --name {NAMES['appNameDev']}"
OUTPUTS = [
    [f"{SHOW} --query properties.outputs.identityClientId", "the-identity"],
    [f"{SHOW} --query properties.outputs.appInsightsKey", "the-key"],
    [f"{SHOW} --query properties.outputs.appInsightsConnectionString", CONNECTION],
    ["storage account show-connection-string", "AccountName=a;AccountKey=canary"],
]
DEPLOYED = [["functionapp list", "an-app"], ["functionapp config appsettings list", "true"]]


def settings_of(calls):
    """The settings that were set, by slot."""
    given = {}
    for call in calls:
        if call[1:5] == ["functionapp", "config", "appsettings", "set"]:
            slot = option(call, "--slot") if "--slot" in call else ""
            for one in call:
                name, equals, value = one.partition("=")
                if equals:
                    given.setdefault(slot, {})[name] = value
    return given


def deployment(azure):
    one, = [call for call in azure.calls() if call[1:4] == ["deployment", "group", "create"]]
    return one


def test_an_environment_is_provisioned_without_a_key(azure):
    azure.answers("az", OUTPUTS)
    ran = azure.run("provision", "dev", "logRetentionDays=60")
    assert ran.returncode == 0, ran.stderr
    deploy = deployment(azure)
    assert option(deploy, "--template-file") == "infra/main.json"
    assert {
        "@infra/dev.parameters.json", "flexConsumption=true", "logRetentionDays=60", f"appName={NAMES['appNameDev']}",
        f"keyVaultName={NAMES['keyVaultNameDev']}", f"storageAccountName={NAMES['storageAccountNameDev']}",
    } <= set(deploy)
    assert settings_of(azure.calls()) == {"": {
        "AzureWebJobsStorage__accountName": NAMES["storageAccountNameDev"],
        "AzureWebJobsStorage__credential": "managedidentity",
        "AzureWebJobsStorage__clientId": "the-identity",
    }}


def test_the_values_that_are_printed_can_be_pasted_into_bash(azure):
    azure.answers("az", OUTPUTS)
    printed = "\n".join(azure.run("provision", "dev").stdout.splitlines()[-2:])
    show = 'printf "%s\\n" "$appInsightsKey" "$appInsightsConnectionString"'
    pasted = subprocess.run(["bash", "-euc", f"{printed}\n{show}"], capture_output=True, text=True)
    assert pasted.stdout == f"the-key\n{CONNECTION}\n", pasted.stderr


def test_classic_consumption_has_a_key_that_is_not_printed_and_a_slot_that_does_not_deliver(azure):
    azure.answers("az", OUTPUTS)
    ran = azure.run("provision", "dev", "--classic")
    assert ran.returncode == 0, ran.stderr
    of_the_host = {
        "FUNCTIONS_EXTENSION_VERSION": "~4",
        "FUNCTIONS_WORKER_RUNTIME": "custom",
        "AzureWebJobsStorage": "AccountName=a;AccountKey=canary",
        "AZURE_CLIENT_ID": "the-identity",
    }
    silent = {"AzureWebJobs.deliverDueConversations.Disabled": "true", "AzureWebJobs.sweepDueConversations.Disabled": "true"}
    assert settings_of(azure.calls()) == {"": of_the_host, "staging": of_the_host | silent}
    # Slot settings stay with the slot when it is swapped.
    assert [call for call in azure.calls() if set(call) & {f"{name}=true" for name in silent} and "--slot-settings" in call]
    assert "canary" not in ran.stdout + ran.stderr
    assert all(option(call, "--output") == "none" for call in azure.calls() if "set" in call)


def test_every_call_has_the_names_of_the_environment(azure):
    azure.answers("az", [["deployment group show", "x"], *DEPLOYED])
    ran = azure.run("provision", "prod")
    assert ran.returncode == 0, ran.stderr
    assert settings_of(azure.calls())[""]["AzureWebJobsStorage__accountName"] == NAMES["storageAccountName"]
    for call in azure.calls():
        assert option(call, "--resource-group") == NAMES["resourceGroupName"]
        assert "--name" not in call or option(call, "--name") == NAMES["appName"]
    assert "appInsightsKeyProd='x'" in ran.stdout


@pytest.mark.parametrize(("answers", "expected", "said"), [
    ([], "false", True),
    ([DEPLOYED[0], ["functionapp config appsettings list", "false"]], "false", True),
    (DEPLOYED, "true", False),
])
def test_the_alert_on_missing_sweeps_waits_for_the_first_deployment(azure, answers, expected, said):
    azure.answers("az", [*OUTPUTS, *answers])
    ran = azure.run("provision", "dev")
    assert f"sweepExpected={expected}" in deployment(azure)
    assert ("sweep-not-running is off" in ran.stdout) is said


def test_an_alert_is_never_switched_off_because_a_question_failed(azure):
    azure.answers("az", [*OUTPUTS, DEPLOYED[0], ["functionapp config appsettings list", 1]])
    assert azure.run("provision", "dev").returncode != 0
    assert not [call for call in azure.calls() if "deployment" in call]


def test_what_if_changes_nothing(azure):
    assert azure.run("provision", "dev", "--what-if").returncode == 0
    changes = [call for call in azure.calls() if not call[1:3] == ["functionapp", "list"]]
    assert [call[1:4] for call in changes] == [["deployment", "group", "what-if"]]


@pytest.mark.parametrize(("arguments", "complaint"), [
    ([], "usage"), (["test"], "usage"), (["dev", "--fast"], "unknown argument --fast"),
    (["dev", "appName=other"], "set appName in infra/names.yml"),
])
def test_provision_does_nothing_after_a_typing_error(azure, arguments, complaint):
    ran = azure.run("provision", *arguments)
    assert ran.returncode != 0 and complaint in ran.stderr
    assert azure.calls() == []
