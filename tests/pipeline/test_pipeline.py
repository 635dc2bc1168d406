"""azure-pipelines.yml and its template, against their published schema and against the files of this repository."""

import copy
import json
import os
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PIPELINE = yaml.safe_load((ROOT / "azure-pipelines.yml").read_text())
TEMPLATE = yaml.safe_load((ROOT / "pipelines/deploy.yml").read_text())
SCHEMA = json.loads((ROOT / "tests/fixtures/schemas/azure-pipelines.json").read_text())
VALIDATOR = jsonschema.validators.validator_for(SCHEMA)(SCHEMA)
SETUP = (ROOT / "docs/deploy.md").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

MACRO = re.compile(r"\$\(([\w.]+)\)")
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
ON_FLEX, ON_CLASSIC = ("${{ if eq(parameters.flexConsumption, %s) }}" % plan for plan in ["true", "false"])

# The variables of the group in docs/deploy.md, and the variables of the agent.
GROUP = {
    "CLIENT_ID", "API_KEY", "appInsightsKey", "appInsightsKeyProd",
    "appInsightsConnectionString", "appInsightsConnectionStringProd",
}
PREDEFINED = {
    "Agent.OS", "Build.ArtifactStagingDirectory", "Pipeline.Workspace", "System.AccessToken",
    "System.CollectionUri", "System.DefaultWorkingDirectory", "System.DefinitionId", "System.TeamProject",
}
SECRETS = {"CLIENT_ID", "API_KEY", "System.AccessToken"}
OWN = {item["name"]: item["value"] for item in PIPELINE["variables"]}
STAGES = {stage["stage"]: stage for stage in PIPELINE["stages"]}
DEPLOYMENTS = {
    "DeployToDev": {"environment": "development", "appName": "$(appName)-dev", "keyVaultName": "$(keyVaultName)-dev"},
    "DeployToProd": {"environment": "production", "appName": "$(appName)", "keyVaultName": "$(keyVaultName)"},
}


def on_plan(node, condition):
    """The template as one plan sees it: the entries below its condition, without those of the other plan."""
    if isinstance(node, list):
        return [on_plan(item, condition) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: on_plan(value, condition) for key, value in node.items() if key not in (ON_FLEX, ON_CLASSIC)}
    return kept | on_plan(node[condition], condition) if condition in node else kept


FLEX, CLASSIC = on_plan(TEMPLATE, ON_FLEX), on_plan(TEMPLATE, ON_CLASSIC)


def hooks(template):
    """The step lists of the deployment's hooks: deploy, routeTraffic, postRouteTraffic, success, failure."""
    run_once = template["jobs"][0]["strategy"]["runOnce"]
    return {name: hook["steps"] for name, hook in {**run_once, **run_once["on"]}.items() if name != "on"}


def steps_of(stage):
    return STAGES[stage]["jobs"][0]["steps"]


STEP_LISTS = {
    **{stage: steps_of(stage) for stage in ["Build", "TestIntegration"]},
    **{f"flex {name}": steps for name, steps in hooks(FLEX).items()},
    **{f"classic {name}": steps for name, steps in hooks(CLASSIC).items()},
}
STEPS = [step for steps in STEP_LISTS.values() for step in steps]
# A message to the agent calls no program of the repository.
COMMANDS = sorted({step["script"] for step in STEPS if "script" in step and "##vso[" not in step["script"]})


def texts(node):
    if isinstance(node, dict):
        for key, value in node.items():
            yield key
            yield from texts(value)
    elif isinstance(node, list):
        for item in node:
            yield from texts(item)
    elif isinstance(node, str):
        yield node


def found(pattern, node):
    return {one for text in texts(node) for one in pattern.findall(text)}


def task(template, name):
    one, = [step for steps in hooks(template).values() for step in steps if step.get("task") == name]
    return one["inputs"]


def problems(document):
    best = [jsonschema.exceptions.best_match([error]) for error in VALIDATOR.iter_errors(document)]
    return [f"{list(error.absolute_path)}: {error.message}" for error in best]


# In the published schema a parameter's default is never a boolean, which Azure Pipelines requires here.
WITHOUT_PARAMETERS = {key: value for key, value in PIPELINE.items() if key != "parameters"}


@pytest.mark.parametrize("document", [WITHOUT_PARAMETERS, FLEX, CLASSIC], ids=["pipeline", "flex", "classic"])
def test_the_schema_allows_it(document):
    assert problems(document) == []


@pytest.mark.parametrize("spoil", [
    lambda d: d["stages"][0].update(dependson="Build"),
    lambda d: d["stages"][0]["jobs"][0]["steps"].append({"task": "NoSuchTask@2"}),
    lambda d: d["stages"][0]["jobs"][0]["steps"].append({"script": "true", "displayname": "x"}),
    lambda d: d["stages"][1].update(jobs=[{"template": "pipelines/deploy.yml", "parameter": {}}]),
    lambda d: d.update(triger={}),
])
def test_the_schema_refuses_a_typing_error_in_the_pipeline(spoil):
    spoiled = copy.deepcopy(WITHOUT_PARAMETERS)
    spoil(spoiled)
    assert problems(spoiled) != []


@pytest.mark.parametrize("template", [FLEX, CLASSIC], ids=["flex", "classic"])
@pytest.mark.parametrize("spoil", [
    lambda d: d["jobs"][0]["strategy"]["runOnce"].update(deploi={}),
    lambda d: task(d, "AzureFunctionApp@2").update(apName="x"),
    lambda d: task(d, "AzureFunctionApp@2").pop("appType"),
    lambda d: task(d, "AzureFunctionApp@2").update(isFlexConsumption="perhaps"),
])
def test_the_schema_refuses_a_typing_error_in_the_template(spoil, template):
    spoiled = copy.deepcopy(template)
    spoil(spoiled)
    assert problems(spoiled) != []


def test_expressions_name_a_parameter_of_their_file():
    for document in [PIPELINE, FLEX, CLASSIC]:
        parameters = {f"parameters.{parameter['name']}" for parameter in document["parameters"]}
        assert found(EXPRESSION, document) <= parameters


def test_every_parameter_of_the_template_is_used():
    parameters = {f"parameters.{parameter['name']}" for parameter in TEMPLATE["parameters"]}
    # Only the conditions use the plan.
    assert found(EXPRESSION, FLEX) == found(EXPRESSION, CLASSIC) == parameters - {"parameters.flexConsumption"}


@pytest.mark.parametrize("stage", DEPLOYMENTS)
def test_a_deployment_passes_every_parameter_of_the_template(stage):
    job, = STAGES[stage]["jobs"]
    assert job["template"] == "pipelines/deploy.yml"
    assert set(job["parameters"]) == {parameter["name"] for parameter in TEMPLATE["parameters"]}
    assert job["parameters"].items() >= DEPLOYMENTS[stage].items()
    assert job["parameters"]["flexConsumption"] == "${{ parameters.flexConsumption }}"


def test_the_plan_is_a_parameter_of_the_pipeline():
    parameter, = PIPELINE["parameters"]
    assert (parameter["name"], parameter["type"], parameter["default"]) == ("flexConsumption", "boolean", True)


def test_a_commit_goes_through_the_stages_one_after_the_other():
    assert [(name, stage.get("dependsOn")) for name, stage in STAGES.items()] == [
        ("Build", None), ("DeployToDev", "Build"), ("TestIntegration", "DeployToDev"), ("DeployToProd", "TestIntegration"),
    ]


def test_it_starts_on_main_and_develop_and_not_for_documentation():
    branches = {"include": ["main", "develop"]}
    assert PIPELINE["trigger"] == {"branches": branches, "paths": {"exclude": ["*.md", "docs/*"]}}
    assert PIPELINE["pr"] == {"branches": branches}


def test_a_pull_request_is_not_deployed():
    assert STAGES["DeployToDev"]["condition"] == "and(succeeded(), ne(variables['Build.Reason'], 'PullRequest'))"
    # A stage without a condition is skipped when the stage before it was.
    assert "condition" not in STAGES["TestIntegration"]


def test_a_pull_request_sees_no_secret():
    assert "group" not in str(PIPELINE["variables"]) and "variables" not in STAGES["Build"]
    assert not found(MACRO, STAGES["Build"]) & (GROUP | SECRETS)


def test_only_main_goes_to_production_and_only_through_its_environment():
    production = STAGES["DeployToProd"]
    assert production["condition"] == "and(succeeded(), eq(variables['Build.SourceBranch'], 'refs/heads/main'))"
    assert [job["parameters"]["environment"] for job in production["jobs"]] == ["production"]
    assert [job["environment"] for job in TEMPLATE["jobs"]] == ["${{ parameters.environment }}"]


def test_every_variable_is_known_and_every_known_one_is_used():
    assert found(MACRO, PIPELINE) | found(MACRO, TEMPLATE) == set(OWN) | GROUP | PREDEFINED


@pytest.mark.parametrize("name", sorted(GROUP | set(OWN)))
def test_the_set_up_explains_the_variable(name):
    assert f"`{name}`" in SETUP, f"docs/deploy.md does not mention {name}"


def test_variables_have_their_agreed_names():
    assert OWN["appName"] == "mcp-scheduler-app" and OWN["resourceGroupName"] == "mcp-scheduler-rg"
    assert OWN["keyVaultName"] == "mcp-scheduler-kv" and OWN["azureSubscription"] == "your-azure-subscription"
    assert OWN["vmImageName"] == "ubuntu-latest"
    for name in ["DeployToDev", "TestIntegration", "DeployToProd"]:
        assert STAGES[name]["variables"] == [{"group": "MCP-Scheduler-Variables"}]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_step_is_one_command_of_the_repository(command):
    assert not re.search(r"[;&|<>`\n]", command.strip()), "more than one command"
    program, *arguments = command.split()
    if program == "make":
        assert arguments[0] in TARGETS
    else:
        assert (ROOT / program).parent == ROOT / "scripts" and os.access(ROOT / program, os.X_OK)


def test_the_rollback_step_calls_the_script():
    for template in [FLEX, CLASSIC]:
        assert task(template, "AzureCLI@2")["scriptPath"] == "scripts/rollback"
    assert os.access(ROOT / "scripts/rollback", os.X_OK)


def test_the_stage_build_calls_the_commands_of_people():
    assert all(step["script"].startswith("make ") for step in steps_of("Build") if "script" in step)


@pytest.mark.parametrize("steps", STEP_LISTS.values(), ids=STEP_LISTS)
def test_steps_that_need_the_repository_check_it_out(steps):
    needs = any(re.search("scripts/|make ", str(step.get("script", step.get("inputs")))) for step in steps)
    assert not needs or steps[0].get("checkout") == "self"


def test_secrets_travel_in_the_environment_alone():
    for step in STEPS:
        without_environment = {key: value for key, value in step.items() if key != "env"}
        assert not found(MACRO, without_environment) & SECRETS, step


@pytest.mark.parametrize("place", ["azure-pipelines.yml", "pipelines", "infra", "Makefile", ".ci", "scripts"])
def test_no_file_holds_a_secret(place):
    files = [file for file in [ROOT / place, *(ROOT / place).glob("*")] if file.is_file()]
    assert files
    for file in files:
        for pattern in [r"AccountKey=\S", r"whsec_", r"msk_", r"InstrumentationKey=[0-9a-f]", r"\beyJ", r"[0-9a-f]{32}"]:
            assert not re.search(pattern, file.read_text()), f"{file}: {pattern}"


@pytest.mark.parametrize("template", [FLEX, CLASSIC], ids=["flex", "classic"])
def test_the_artifact_that_is_published_is_the_one_that_is_deployed(template):
    assert [step["artifact"] for step in steps_of("Build") if "publish" in step] == ["drop"]
    downloads = [step for steps in hooks(template).values() for step in steps if "download" in step]
    assert [(step["download"], step["artifact"]) for step in downloads] == [("current", "drop")]
    assert task(template, "AzureFunctionApp@2")["package"] == "$(Pipeline.Workspace)/drop/mcp-scheduler-*.zip"
    assert "--artifact-name drop" in (ROOT / "scripts/rollback").read_text()


@pytest.mark.parametrize("stage", ["Build", "TestIntegration"])
def test_a_published_file_was_made_by_a_step_before(stage):
    made = ""
    for step in steps_of(stage):
        inputs = step.get("inputs", {})
        for wanted in [step.get("publish"), inputs.get("testResultsFiles"), inputs.get("summaryFileLocation")]:
            assert wanted is None or wanted in made, wanted
        made += f" {step.get('script', '')} {' '.join(step.get('env', {}).values())}"


@pytest.mark.parametrize("template", [FLEX, CLASSIC], ids=["flex", "classic"])
def test_the_program_and_the_host_read_the_settings(template):
    example = json.loads((ROOT / "local.settings.json.example").read_text())["Values"]
    of_the_host = {"KEYVAULT_URI", "APPINSIGHTS_INSTRUMENTATIONKEY", "APPLICATIONINSIGHTS_CONNECTION_STRING"}
    inputs = task(template, "AzureAppServiceSettings@1")
    settings = {item["name"]: item["value"] for item in json.loads(inputs["appSettings"])}
    assert set(settings) <= set(example) | of_the_host
    assert inputs["appName"] == "${{ parameters.appName }}"
    assert settings["USE_AZURE_SERVICES"] == "true"
    assert settings["KEYVAULT_URI"] == "https://${{ parameters.keyVaultName }}.vault.azure.net/"
    assert settings["PUBLIC_URL"] == "https://${{ parameters.appName }}.azurewebsites.net"
    # The package is where its plan wants it; Flex Consumption refuses these two settings.
    assert not {"FUNCTIONS_WORKER_RUNTIME", "WEBSITE_RUN_FROM_PACKAGE"} & set(settings)


@pytest.mark.parametrize("secret", [
    "SCHEDULER_CLIENT_ID", "SCHEDULER_API_KEY", "JWT_SIGNING_KEYS", "WEBHOOK_SIGNING_SECRETS",
])
def test_the_secret_stays_in_the_vault(secret):
    in_the_vault = secret.replace("_", "-")
    settings = json.loads(task(FLEX, "AzureAppServiceSettings@1")["appSettings"])
    reference = f"@Microsoft.KeyVault(VaultName=${{{{ parameters.keyVaultName }}}};SecretName={in_the_vault})"
    assert {"name": secret, "value": reference} in settings
    assert in_the_vault in SETUP, "the set-up does not make it"


@pytest.mark.parametrize("template", [FLEX, CLASSIC], ids=["flex", "classic"])
def test_a_deployment_that_does_not_answer_is_rolled_back(template):
    run = hooks(template)
    assert "scripts/smoke https://${{ parameters.appName }}.azurewebsites.net" in str(run["postRouteTraffic"])
    arguments = task(template, "AzureCLI@2")["arguments"]
    assert "--environment ${{ parameters.environment }} --app ${{ parameters.appName }} " in arguments
    assert "scripts/rollback" in str(run["failure"])
    # The tag is set after the smoke test, and only if the test passed: scripts/rollback relies on it.
    assert "deployed-${{ parameters.environment }}" in str(run["success"])
    assert "deployed-$environment" in (ROOT / "scripts/rollback").read_text()


def test_slots_are_used_exactly_where_the_plan_has_them():
    for template, flex in [(FLEX, True), (CLASSIC, False)]:
        assert task(template, "AzureFunctionApp@2")["isFlexConsumption"] is flex
        for slots in ["Swap Slots", "'slotName': 'staging'", "-staging.azurewebsites.net"]:
            assert (slots in str(template)) != flex, slots
