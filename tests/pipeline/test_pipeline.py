"""azure-pipelines.yml against its published schema and against the files of this repository."""

import copy
import json
import os
import re
import sys
from pathlib import Path

import jsonschema
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import pipeline  # noqa: E402

SCHEMA = json.loads((ROOT / "tests/fixtures/schemas/azure-pipelines.json").read_text())
VALIDATOR = jsonschema.validators.validator_for(SCHEMA)(SCHEMA)
SETUP = (ROOT / "docs/deploy.md").read_text()

# What docs/deploy.md puts into the variable group, and what the agent itself knows.
GROUP = {
    "CLIENT_ID", "API_KEY", "appInsightsKey", "appInsightsKeyProd",
    "appInsightsConnectionString", "appInsightsConnectionStringProd",
}
PREDEFINED = {
    "Agent.OS", "Build.ArtifactStagingDirectory", "Pipeline.Workspace", "System.AccessToken",
    "System.CollectionUri", "System.DefaultWorkingDirectory", "System.DefinitionId", "System.TeamProject",
}
SECRETS = {"CLIENT_ID", "API_KEY", "System.AccessToken"}


@pytest.fixture(params=[True, False], ids=["flex", "classic"])
def document(request):
    return pipeline.load(arguments={"flexConsumption": request.param})


def stage(document, name):
    return next(stage for stage in document["stages"] if stage["stage"] == name)


def every_step(document):
    return [step for stage in document["stages"] for step in pipeline.steps_of(stage)]


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


def macros(node):
    return {found for text in texts(node) for found in pipeline.MACRO.findall(text)}


def problems(document):
    best = [jsonschema.exceptions.best_match([error]) for error in VALIDATOR.iter_errors(document)]
    return [f"{list(error.absolute_path)}: {error.message}" for error in best]


def test_it_is_what_the_schema_allows(document):
    assert problems(document) == []


@pytest.mark.parametrize("spoil", [
    lambda d: d["stages"][0].update(dependson="Build"),
    lambda d: stage(d, "Build")["jobs"][0]["steps"].append({"task": "NoSuchTask@2"}),
    lambda d: stage(d, "DeployToDev")["jobs"][0]["strategy"]["runOnce"].update(deploi={}),
    lambda d: [s["inputs"].update(apName="x") for s in every_step(d) if s.get("task") == "AzureFunctionApp@2"],
    lambda d: [s["inputs"].pop("appType") for s in every_step(d) if s.get("task") == "AzureFunctionApp@2"],
])
def test_the_schema_refuses_a_slip_of_the_pen(spoil):
    spoiled = copy.deepcopy(pipeline.load())
    spoil(spoiled)
    assert problems(spoiled) != []


def test_a_commit_goes_through_the_stages_one_after_the_other(document):
    order = [(stage["stage"], stage.get("dependsOn")) for stage in document["stages"]]
    assert order == [
        ("Build", None), ("DeployToDev", "Build"), ("TestIntegration", "DeployToDev"), ("DeployToProd", "TestIntegration"),
    ]


def test_it_starts_on_main_and_develop_and_not_for_documentation(document):
    branches = {"include": ["main", "develop"]}
    assert document["trigger"] == {"branches": branches, "paths": {"exclude": ["*.md", "docs/*"]}}
    assert document["pr"] == {"branches": branches}


def test_a_pull_request_is_not_deployed_and_sees_no_secret(document):
    assert stage(document, "DeployToDev")["condition"] == "and(succeeded(), ne(variables['Build.Reason'], 'PullRequest'))"
    # A stage that says nothing else is skipped when the one before it was.
    assert "condition" not in stage(document, "TestIntegration")
    assert "group" not in str(document["variables"]) and "variables" not in stage(document, "Build")
    assert not macros(stage(document, "Build")) & (GROUP | SECRETS)


def test_only_main_goes_to_production_and_only_through_its_environment(document):
    production = stage(document, "DeployToProd")
    assert production["condition"] == "and(succeeded(), eq(variables['Build.SourceBranch'], 'refs/heads/main'))"
    assert [job["environment"] for job in production["jobs"]] == ["production"]


def test_every_variable_is_known_and_every_known_one_is_used(document):
    own = pipeline.variables_of(document)
    used = macros(document)
    assert used == set(own) | GROUP | PREDEFINED
    for name in GROUP | set(own):
        assert f"`{name}`" in SETUP, f"docs/deploy.md does not tell of {name}"


def test_names_are_those_of_the_seed_document(document):
    own = pipeline.variables_of(document)
    assert own["appName"] == "mcp-scheduler-app" and own["resourceGroupName"] == "mcp-scheduler-rg"
    assert own["keyVaultName"] == "mcp-scheduler-kv" and own["azureSubscription"] == "your-azure-subscription"
    assert own["vmImageName"] == "ubuntu-latest"
    for name in ["DeployToDev", "TestIntegration", "DeployToProd"]:
        assert stage(document, name)["variables"] == [{"group": "MCP-Scheduler-Variables"}]


def test_scripts_are_the_repository_s_own(document):
    for step in every_step(document):
        inputs = step.get("inputs", {})
        if step.get("task") == "AzureCLI@2":
            commands = [inputs["scriptPath"]]
        else:
            commands = [line for line in step.get("script", "").splitlines() if line.strip()]
        for command in commands:
            # A message to the agent is no script.
            if command.startswith('echo "##vso['):
                continue
            program = ROOT / command.split()[0]
            assert program.parent == ROOT / "scripts" and os.access(program, os.X_OK), command
            assert not re.search(r"[;&|<>`]", command), f"more than one command: {command}"


def test_what_needs_the_repository_checks_it_out(document):
    for one in document["stages"]:
        for job in one["jobs"]:
            strategy = job.get("strategy", {}).get("runOnce", {"job": job})
            for hook in [*strategy.values(), *strategy.get("on", {}).values()]:
                steps = hook.get("steps", [])
                needs = any("scripts/" in str(step.get("script", step.get("inputs"))) for step in steps)
                assert not needs or steps[0].get("checkout") == "self", steps


def test_secrets_travel_in_the_environment_alone(document):
    for step in every_step(document):
        without_environment = {key: value for key, value in step.items() if key != "env"}
        assert not macros(without_environment) & SECRETS, step


def test_no_file_holds_a_secret():
    for file in [ROOT / "azure-pipelines.yml", *(ROOT / "pipelines").iterdir(), *(ROOT / "infra").iterdir()]:
        text = file.read_text()
        for looks_like in [r"AccountKey=\S", r"whsec_", r"msk_", r"InstrumentationKey=[0-9a-f]", r"\beyJ", r"[0-9a-f]{32}"]:
            assert not re.search(looks_like, text), f"{file}: {looks_like}"


def test_the_artifact_that_is_published_is_the_one_that_is_deployed(document):
    published = [step["artifact"] for step in pipeline.steps_of(stage(document, "Build")) if "publish" in step]
    assert published == ["drop"]
    for name in ["DeployToDev", "DeployToProd"]:
        steps = list(pipeline.steps_of(stage(document, name)))
        assert [(step["download"], step["artifact"]) for step in steps if "download" in step] == [("current", "drop")]
        packages = [step["inputs"]["package"] for step in steps if step.get("task") == "AzureFunctionApp@2"]
        assert packages == ["$(Pipeline.Workspace)/drop/mcp-scheduler-*.zip"]
    assert "--artifact-name drop" in (ROOT / "scripts/rollback").read_text()


def test_what_is_published_is_what_a_step_before_has_made(document):
    made = ""
    for step in pipeline.steps_of(stage(document, "Build")):
        inputs = step.get("inputs", {})
        for wanted in [step.get("publish"), inputs.get("testResultsFiles"), inputs.get("summaryFileLocation")]:
            assert wanted is None or wanted in made, wanted
        made += f" {step.get('script', '')} {' '.join(step.get('env', {}).values())}"


def test_settings_are_such_as_the_program_and_the_host_read(document):
    example = json.loads((ROOT / "local.settings.json.example").read_text())["Values"]
    of_the_host = {"KEYVAULT_URI", "APPINSIGHTS_INSTRUMENTATIONKEY", "APPLICATIONINSIGHTS_CONNECTION_STRING"}
    for name, app, vault in [
        ("DeployToDev", "$(appName)-dev", "$(keyVaultName)-dev"), ("DeployToProd", "$(appName)", "$(keyVaultName)"),
    ]:
        steps = list(pipeline.steps_of(stage(document, name)))
        task, = [step for step in steps if step.get("task") == "AzureAppServiceSettings@1"]
        settings = {item["name"]: item["value"] for item in json.loads(task["inputs"]["appSettings"])}
        assert set(settings) <= set(example) | of_the_host
        assert settings["USE_AZURE_SERVICES"] == "true"
        assert settings["KEYVAULT_URI"] == f"https://{vault}.vault.azure.net/"
        assert settings["PUBLIC_URL"] == f"https://{app}.azurewebsites.net"
        for secret in ["SCHEDULER_CLIENT_ID", "SCHEDULER_API_KEY", "JWT_SIGNING_KEYS", "WEBHOOK_SIGNING_SECRETS"]:
            reference = f"@Microsoft.KeyVault(VaultName={vault};SecretName={secret.replace('_', '-')})"
            assert settings[secret] == reference
            assert reference.partition("SecretName=")[2].rstrip(")") in SETUP, "the set-up does not make it"
        # The package is where its plan wants it; Flex Consumption refuses these two.
        assert not {"FUNCTIONS_WORKER_RUNTIME", "WEBSITE_RUN_FROM_PACKAGE"} & set(settings)


def test_a_deployment_that_does_not_answer_is_rolled_back(document):
    for name in ["DeployToDev", "DeployToProd"]:
        hooks = stage(document, name)["jobs"][0]["strategy"]["runOnce"]
        app = "$(appName)-dev" if name == "DeployToDev" else "$(appName)"
        assert f"scripts/smoke https://{app}.azurewebsites.net" in str(hooks["postRouteTraffic"])
        assert f"--app {app} " in str(hooks["on"]["failure"]) and "scripts/rollback" in str(hooks["on"]["failure"])
        environment = stage(document, name)["jobs"][0]["environment"]
        # The mark that the rollback looks for is set after the smoke test, and only if it went well.
        assert f"deployed-{environment}" in str(hooks["on"]["success"])


def test_slots_are_used_exactly_where_the_plan_has_them():
    for flex in [True, False]:
        deploy = str(stage(pipeline.load(arguments={"flexConsumption": flex}), "DeployToProd"))
        assert ("'isFlexConsumption': True" in deploy) == flex
        for slots in ["Swap Slots", "'slotName': 'staging'", "-staging.azurewebsites.net"]:
            assert (slots in deploy) != flex, slots


@pytest.mark.parametrize("text", ["a: ${{ variables.x }}", "a: ${{ parameters.x }}", "${{ if or(1, 2) }}:\n  a: b"])
def test_what_cannot_be_filled_in_is_told(tmp_path, text):
    file = tmp_path / "pipeline.yml"
    file.write_text(text)
    with pytest.raises(pipeline.Unsupported):
        pipeline.load(file)


SMALL = """
variables:
  - {name: colour, value: blue}
stages:
  - stage: Build
    jobs:
      - job: Only
        steps:
          - {task: "Cache@2", inputs: {key: k, path: p}}
          - {script: 'echo "$WHICH" $(colour) $(unknown) > $(Build.ArtifactStagingDirectory)/said', displayName: Says, env: {WHICH: very $(colour)}}
          - {script: "false; echo not reached", displayName: Fails}
          - {script: pwd > $(Build.ArtifactStagingDirectory)/where, displayName: Goes on}
          - {script: exit 9, displayName: Needs the internet}
          - {publish: $(Build.ArtifactStagingDirectory)/said}
          - {publish: $(Build.ArtifactStagingDirectory)/never}
"""


def test_script_steps_run_as_the_agent_runs_them(tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "ROOT", tmp_path)
    (tmp_path / "pipeline.yml").write_text(SMALL)
    document = pipeline.load(tmp_path / "pipeline.yml")
    monkeypatch.setattr(pipeline, "load", lambda: document)
    failed = pipeline.run("Build", ["Needs the internet"])
    staging = tmp_path / "target/pipeline/staging"
    assert failed == ["Fails", f"{staging}/never was not made"]
    # What is not known stays as it is; a shell takes it for a command, which is why every variable is checked above.
    assert (staging / "said").read_text().startswith("very blue blue")
    assert (staging / "where").read_text().strip() == str(tmp_path)
    with pytest.raises(pipeline.Unsupported):
        pipeline.run("Build", ["no such step"])


def test_ci_leaves_out_of_build_what_needs_the_internet_and_what_is_only_a_figure():
    ran = (ROOT / ".ci/run").read_text()
    assert "scripts/pipeline.py run Build" in ran
    steps = {step["displayName"]: step["script"] for step in every_step(pipeline.load()) if "script" in step}
    left_out = [steps[name].split()[:2] for name in re.findall(r'--without "(.*?)"', ran)]
    assert [one[0] for one in left_out] == ["scripts/deny", "scripts/coverage"] and left_out[0][1] == "advisories"
