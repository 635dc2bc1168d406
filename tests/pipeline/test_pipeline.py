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
NAMES = yaml.safe_load((ROOT / "infra/names.yml").read_text())["variables"]
SCHEMA = json.loads((ROOT / "tests/fixtures/schemas/azure-pipelines.json").read_text())
# The published schema has the name of this task without its inputs. Its documentation lists these:
# https://learn.microsoft.com/azure/devops/pipelines/tasks/reference/publish-code-coverage-results-v2
SCHEMA["definitions"]["task"]["anyOf"].append({
    "properties": {
        "task": {"pattern": "^PublishCodeCoverageResults@2$"},
        "inputs": {
            "properties": {
                "summaryFileLocation": {"type": "string"},
                "pathToSources": {"type": "string"},
                "failIfCoverageEmpty": {"type": "boolean"},
            },
            "required": ["summaryFileLocation"],
            "additionalProperties": False,
        },
    },
    "required": ["task", "inputs"],
})
VALIDATOR = jsonschema.validators.validator_for(SCHEMA)(SCHEMA)
SETUP = (ROOT / "docs/deploy.md").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

MACRO = re.compile(r"\$\(([\w.]+)\)")
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
ON_FLEX, ON_CLASSIC = ("${{ if eq(parameters.flexConsumption, %s) }}" % plan for plan in ["true", "false"])
WITH_PUBLIC_URL = "${{ if or(ne(parameters.publicUrl, ''), eq(parameters.flexConsumption, false)) }}"

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
OWN = {item["name"]: item["value"] for item in PIPELINE["variables"] if "name" in item}
STAGES = {stage["stage"]: stage for stage in PIPELINE["stages"]}
DEPLOYMENTS = {
    "DeployToDev": {
        "environment": "development", "appName": "$(appNameDev)", "keyVaultName": "$(keyVaultNameDev)",
        "publicUrl": "${{ variables.publicUrlDev }}",
    },
    "DeployToProd": {
        "environment": "production", "appName": "$(appName)", "keyVaultName": "$(keyVaultName)",
        "publicUrl": "${{ variables.publicUrl }}",
    },
}


def under(node, *conditions):
    """The template as a run sees it for which these conditions hold and no others: their entries are in its place."""
    if isinstance(node, list):
        return [one for item in node for one in items_of(item, conditions)]
    if not isinstance(node, dict):
        return node
    kept = {key: under(value, *conditions) for key, value in node.items() if not key.startswith("${{ if ")}
    for condition in set(conditions) & set(node):
        kept |= under(node[condition], *conditions)
    return kept


def items_of(item, conditions):
    condition = next((key for key in item if key.startswith("${{ if ")), None) if isinstance(item, dict) else None
    # A conditional item of a list has its condition as its only key, and a list below it.
    if condition and len(item) == 1:
        return under(item[condition], *conditions) if condition in conditions else []
    return [under(item, *conditions)]


# Flex Consumption without and with a public address; classic Consumption always has one.
FLEX, CLASSIC = under(TEMPLATE, ON_FLEX), under(TEMPLATE, ON_CLASSIC, WITH_PUBLIC_URL)
FLEX_WITH_URL = under(TEMPLATE, ON_FLEX, WITH_PUBLIC_URL)


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
    one, *_ = [step for steps in hooks(template).values() for step in steps if step.get("task") == name]
    return one["inputs"]


def app_settings(template):
    """The settings that a deployment makes, by their names."""
    tasks = [step for steps in hooks(template).values() for step in steps if step.get("task") == "AzureAppServiceSettings@1"]
    return {one["name"]: one["value"] for step in tasks for one in json.loads(step["inputs"]["appSettings"])}


def problems(document):
    best = [jsonschema.exceptions.best_match([error]) for error in VALIDATOR.iter_errors(document)]
    return [f"{list(error.absolute_path)}: {error.message}" for error in best]


# In the published schema a parameter's default is never a boolean, which Azure Pipelines requires here.
WITHOUT_PARAMETERS = {key: value for key, value in PIPELINE.items() if key != "parameters"}


@pytest.mark.parametrize("document", [WITHOUT_PARAMETERS, FLEX, FLEX_WITH_URL, CLASSIC],
                         ids=["pipeline", "flex", "flex with an address", "classic"])
def test_the_schema_allows_it(document):
    assert problems(document) == []


def coverage(pipeline):
    steps = pipeline["stages"][0]["jobs"][0]["steps"]
    return next(step["inputs"] for step in steps if step.get("task") == "PublishCodeCoverageResults@2")


@pytest.mark.parametrize("spoil", [
    lambda d: d["stages"][0].update(dependson="Build"),
    lambda d: d["stages"][0]["jobs"][0]["steps"].append({"task": "NoSuchTask@2"}),
    lambda d: d["stages"][0]["jobs"][0]["steps"].append({"script": "true", "displayname": "x"}),
    lambda d: d["stages"][1].update(jobs=[{"template": "pipelines/deploy.yml", "parameter": {}}]),
    lambda d: d.update(triger={}),
    lambda d: coverage(d).update(codeCoverageTool="Cobertura"),
    lambda d: coverage(d).pop("summaryFileLocation"),
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


def names_in(expressions):
    return {name for one in expressions for name in re.findall(r"\b(?:parameters|variables)\.\w+", one)}


def test_expressions_name_a_parameter_of_their_file_or_a_name():
    known = {f"variables.{name}" for name in NAMES}
    for document in [PIPELINE, TEMPLATE]:
        parameters = {f"parameters.{parameter['name']}" for parameter in document["parameters"]}
        assert names_in(found(EXPRESSION, document)) <= parameters | known


def test_every_parameter_of_the_template_is_used():
    parameters = {f"parameters.{parameter['name']}" for parameter in TEMPLATE["parameters"]}
    # Only the conditions use the plan.
    plan = {"parameters.flexConsumption"}
    assert names_in(found(EXPRESSION, FLEX_WITH_URL)) == names_in(found(EXPRESSION, CLASSIC)) == parameters - plan


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
    used = found(MACRO, PIPELINE) | found(MACRO, TEMPLATE)
    assert used == set(OWN) | GROUP | PREDEFINED | (used & set(NAMES))
    by_scripts = {"storageAccountName", "storageAccountNameDev"}
    in_expressions = {one.removeprefix("variables.") for one in names_in(found(EXPRESSION, PIPELINE))}
    assert set(NAMES) - used - in_expressions == by_scripts


@pytest.mark.parametrize("name", sorted(GROUP | set(OWN) | set(NAMES)))
def test_the_set_up_explains_the_variable(name):
    assert f"`{name}`" in SETUP, f"docs/deploy.md does not mention {name}"


def test_variables_have_their_agreed_names():
    assert {"template": "infra/names.yml"} in PIPELINE["variables"]
    assert NAMES["appName"] == "mcp-scheduler-app" and NAMES["resourceGroupName"] == "mcp-scheduler-rg"
    assert NAMES["keyVaultName"] == "mcp-scheduler-kv" and NAMES["azureSubscription"] == "your-azure-subscription"
    assert OWN["vmImageName"] == "ubuntu-latest"
    for name in ["DeployToDev", "TestIntegration", "DeployToProd"]:
        assert STAGES[name]["variables"] == [{"group": "MCP-Scheduler-Variables"}]


def test_a_name_is_set_in_one_place():
    """No other file of the deployment repeats a name, so that a change of it is a change of one line."""
    names = [value for name, value in NAMES.items() if value]
    places = ["azure-pipelines.yml", "pipelines/*", "infra/*.json", "scripts/*", "docs/deploy.md", "docs/runbook.md"]
    for file in [file for place in places for file in ROOT.glob(place)]:
        for name in names:
            assert not re.search(rf"(?<![\w-]){name}(?![\w-])", file.read_text()), f"{file}: {name}"


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
    of_the_host = {"APPINSIGHTS_INSTRUMENTATIONKEY", "APPLICATIONINSIGHTS_CONNECTION_STRING"}
    settings = app_settings(template)
    assert set(settings) <= set(example) | of_the_host
    assert task(template, "AzureAppServiceSettings@1")["appName"] == "${{ parameters.appName }}"
    assert settings["USE_AZURE_SERVICES"] == "true"
    assert settings["KEYVAULT_URI"] == "https://${{ parameters.keyVaultName }}.vault.azure.net/"
    # The package is where its plan wants it; Flex Consumption refuses these two settings.
    assert not {"FUNCTIONS_WORKER_RUNTIME", "WEBSITE_RUN_FROM_PACKAGE"} & set(settings)


def test_a_public_address_survives_a_deployment():
    """One that infra/names.yml sets is set again; on Flex Consumption, one that was set by hand is left alone."""
    assert "PUBLIC_URL" not in app_settings(FLEX)
    value = "${{ coalesce(parameters.publicUrl, format('https://{0}.azurewebsites.net', parameters.appName)) }}"
    for template in [FLEX_WITH_URL, CLASSIC]:
        assert app_settings(template)["PUBLIC_URL"] == value
    # The scripts and the template of the resources do not touch it.
    for file in ["scripts/provision", "scripts/rollback", "infra/main.json"]:
        assert "PUBLIC_URL" not in (ROOT / file).read_text(), file


@pytest.mark.parametrize("secret", [
    "SCHEDULER_CLIENT_ID", "SCHEDULER_API_KEY", "JWT_SIGNING_KEYS", "WEBHOOK_SIGNING_SECRETS",
    "DATA_ENCRYPTION_KEYS",
])
def test_the_secret_stays_in_the_vault(secret):
    in_the_vault = secret.replace("_", "-")
    # A setting would win over the vault, and would not change within ten minutes.
    assert secret not in app_settings(FLEX) | app_settings(CLASSIC)
    assert f"  secret {in_the_vault} " in SETUP, "the set-up does not make it"


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
