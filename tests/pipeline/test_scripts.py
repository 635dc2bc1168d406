"""The scripts of a deployment. Stand-ins on the PATH replace the programs that call Azure and record their arguments."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import junit  # noqa: E402

STAND_IN = f"""#!{sys.executable}
import json, os, pathlib, sys
place = pathlib.Path(__file__).parent
name, arguments = pathlib.Path(__file__).name, sys.argv[1:]
with open(place / "calls", "a") as calls:
    calls.write(json.dumps([name, *arguments]) + "\\n")
for beginning, answer in json.loads((place / f"{{name}}.answers").read_text()):
    if " ".join(arguments).startswith(beginning):
        if isinstance(answer, int):
            sys.exit(answer)
        if "--path" in arguments:
            for file, text in answer.items():
                (pathlib.Path(arguments[arguments.index("--path") + 1]) / file).write_text(text)
        else:
            print(answer)
        break
"""


class Azure:
    def __init__(self, place):
        self.place = place
        self.answers("az", [])
        # The stand-in ignores the method: other tests call scripts/smoke with a real server.
        self.smoke(["200", "200", "401", "404"])

    def answers(self, program, answers):
        file = self.place / program
        file.write_text(STAND_IN)
        file.chmod(0o755)
        (self.place / f"{program}.answers").write_text(json.dumps(answers))

    def smoke(self, statuses):
        paths = ["/health", "/health/ready", "/api/scheduler", "/deliverDueConversations"]
        file = self.place / "curl"
        cases = "".join(f"  *.net{path}) printf {status} ;;\n" for path, status in zip(paths, statuses))
        file.write_text(f'#!/usr/bin/env bash\ncase "${{@: -1}}" in\n{cases}esac\n')
        file.chmod(0o755)

    def run(self, script, *arguments, **environment):
        base = {key: value for key, value in os.environ.items() if not key.startswith("AZURE_DEVOPS")}
        environment = base | {"PATH": f"{self.place}:{os.environ['PATH']}", "SMOKE_SECONDS": "0", **environment}
        return subprocess.run([ROOT / "scripts" / script, *arguments], env=environment, capture_output=True, text=True, cwd="/")

    def calls(self):
        file = self.place / "calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture
def azure(tmp_path):
    return Azure(tmp_path)


def option(call, name):
    return call[call.index(name) + 1]


PACKAGE = "not really a package"
DROP = {
    "mcp-scheduler-0.1.0.zip": PACKAGE,
    "mcp-scheduler-0.1.0.zip.sha256": f"{hashlib.sha256(PACKAGE.encode()).hexdigest()}  mcp-scheduler-0.1.0.zip\n",
}
GOOD = [["pipelines runs list", "41"], ["pipelines runs artifact download", DROP]]


# Rollback


def test_a_rollback_deploys_the_last_build_that_is_marked_as_good(azure):
    azure.answers("az", GOOD)
    ran = azure.run("rollback", "--environment", "production")
    assert ran.returncode == 0, ran.stderr
    search, download, deploy = azure.calls()
    assert "contains(tags, 'deployed-production')" in option(search, "--query")
    assert option(search, "--query-order") == "FinishTimeDesc"
    assert (option(download, "--run-id"), option(download, "--artifact-name")) == ("41", "drop")
    assert deploy[1:5] == ["functionapp", "deployment", "source", "config-zip"]
    assert (option(deploy, "--name"), option(deploy, "--resource-group")) == ("mcp-scheduler-app", "mcp-scheduler-rg")
    assert option(deploy, "--src").endswith("/mcp-scheduler-0.1.0.zip")
    assert "ok      GET    /health/ready" in ran.stdout
    assert not Path(option(deploy, "--src")).exists(), "the package was left behind"


def test_a_rollback_to_a_build_number_asks_for_that_build(azure):
    azure.answers("az", GOOD)
    assert azure.run("rollback", "--environment", "development", "--build", "20261124.3").returncode == 0
    search, _, deploy = azure.calls()
    assert "buildNumber=='20261124.3'" in option(search, "--query") and "tags" not in option(search, "--query")
    assert option(deploy, "--name") == "mcp-scheduler-app-dev"


def test_in_the_pipeline_a_rollback_searches_the_runs_of_that_pipeline(azure):
    azure.answers("az", GOOD)
    where = {"AZURE_DEVOPS_ORGANIZATION": "https://example.com/o/", "AZURE_DEVOPS_PROJECT": "p", "AZURE_DEVOPS_PIPELINE": "7"}
    arguments = ["--environment", "production", "--app", "other", "--resource-group", "group"]
    assert azure.run("rollback", *arguments, **where).returncode == 0
    search, download, deploy = azure.calls()
    assert option(search, "--pipeline-ids") == "7"
    for call in [search, download]:
        assert (option(call, "--organization"), option(call, "--project")) == ("https://example.com/o/", "p")
    assert (option(deploy, "--name"), option(deploy, "--resource-group")) == ("other", "group")


def test_a_swap_needs_no_build(azure):
    assert azure.run("rollback", "--environment", "production", "--swap").returncode == 0
    (swap,) = azure.calls()
    assert swap[1:5] == ["functionapp", "deployment", "slot", "swap"]
    assert (option(swap, "--slot"), option(swap, "--target-slot")) == ("staging", "production")


@pytest.mark.parametrize(("answers", "arguments", "complaint"), [
    ([["pipelines runs list", ""]], [], "there is no good build for production"),
    ([["pipelines runs list", ""]], ["--build", "7"], "there is no build 7 for production"),
    ([["pipelines runs list", 1]], [], ""),
    ([GOOD[0], ["pipelines runs artifact", 1]], [], ""),
    ([GOOD[0], ["pipelines runs artifact", DROP | {"mcp-scheduler-0.1.0.zip": "damaged"}]], [], "damaged"),
    (GOOD, ["--build"], "--build needs a value"),
    (GOOD, ["--now"], "unknown argument --now"),
    (GOOD, ["--swap", "--build", "7"], "exclude each other"),
])
def test_nothing_is_deployed_after_an_error(azure, answers, arguments, complaint):
    azure.answers("az", answers)
    ran = azure.run("rollback", "--environment", "production", *arguments)
    assert ran.returncode != 0 and complaint in ran.stderr
    assert not [call for call in azure.calls() if "config-zip" in call or "swap" in call]


def test_a_rollback_fails_if_the_app_does_not_answer_after_it(azure):
    azure.answers("az", GOOD)
    azure.smoke(["200", "503", "401", "404"])
    ran = azure.run("rollback", "--environment", "production")
    assert ran.returncode != 0 and "/health/ready: 503 instead of 200" in ran.stderr


# Provision

OUTPUTS = [
    ["deployment group show --resource-group mcp-scheduler-rg --name mcp-scheduler-app-dev --query properties.outputs.identityClientId", "the-identity"],
    ["deployment group show --resource-group mcp-scheduler-rg --name mcp-scheduler-app-dev --query properties.outputs.appInsightsKey", "the-key"],
    ["deployment group show --resource-group mcp-scheduler-rg --name mcp-scheduler-app-dev --query properties.outputs.appInsightsConnectionString", "the-string"],
    ["storage account show-connection-string", "AccountName=a;AccountKey=canary"],
]


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


def test_an_environment_is_provisioned_without_a_key(azure):
    azure.answers("az", OUTPUTS)
    ran = azure.run("provision", "dev", "alertEmail=me@example.com")
    assert ran.returncode == 0, ran.stderr
    deploy = azure.calls()[0]
    assert deploy[1:4] == ["deployment", "group", "create"] and option(deploy, "--template-file") == "infra/main.json"
    assert {"@infra/dev.parameters.json", "flexConsumption=true", "alertEmail=me@example.com"} <= set(deploy)
    assert settings_of(azure.calls()) == {"": {
        "AzureWebJobsStorage__accountName": "mcpschedulerstoragedev",
        "AzureWebJobsStorage__credential": "managedidentity",
        "AzureWebJobsStorage__clientId": "the-identity",
    }}
    assert ran.stdout.endswith("appInsightsKey=the-key\nappInsightsConnectionString=the-string\n")


def test_classic_consumption_has_a_key_that_is_not_printed_and_a_slot_that_does_not_deliver(azure):
    azure.answers("az", OUTPUTS)
    ran = azure.run("provision", "dev", "--classic")
    assert ran.returncode == 0, ran.stderr
    of_the_host = {
        "FUNCTIONS_EXTENSION_VERSION": "~4",
        "FUNCTIONS_WORKER_RUNTIME": "custom",
        "AzureWebJobsStorage": "AccountName=a;AccountKey=canary",
    }
    silent = {"AzureWebJobs.deliverDueConversations.Disabled": "true", "AzureWebJobs.sweepDueConversations.Disabled": "true"}
    assert settings_of(azure.calls()) == {"": of_the_host, "staging": of_the_host | silent}
    # Slot settings stay with the slot when it is swapped.
    assert [call for call in azure.calls() if set(call) & {f"{name}=true" for name in silent} and "--slot-settings" in call]
    assert "canary" not in ran.stdout + ran.stderr
    assert all(option(call, "--output") == "none" for call in azure.calls() if "set" in call)


def test_a_name_on_the_command_line_is_used_in_every_call(azure):
    azure.answers("az", [["deployment group show", "x"]])
    ran = azure.run("provision", "prod", "storageAccountName=mine", "appName=my-app", RESOURCE_GROUP="my-group")
    assert ran.returncode == 0, ran.stderr
    assert settings_of(azure.calls())[""]["AzureWebJobsStorage__accountName"] == "mine"
    for call in azure.calls():
        assert option(call, "--resource-group") == "my-group" and option(call, "--name") == "my-app"
    assert "appInsightsKeyProd=x" in ran.stdout


@pytest.mark.parametrize("arguments", [[], ["test"], ["dev", "--fast"]])
def test_provision_does_nothing_after_a_typing_error(azure, arguments):
    assert azure.run("provision", *arguments).returncode != 0
    assert azure.calls() == []


# Smoke


@pytest.fixture
def server():
    answers = {"GET /health": 200, "GET /health/ready": 200, "GET /api/scheduler": 401, "POST /deliverDueConversations": 404}
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(f"{self.command} {self.path}")
            status = answers[seen[-1]]
            # A list has one status for each request; the last one stays.
            if isinstance(status, list):
                status = status.pop(0) if len(status) > 1 else status[0]
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.answers, server.seen = answers, seen
    yield server
    server.shutdown()


def smoke(server, seconds="0"):
    environment = os.environ | {"SMOKE_SECONDS": seconds, "no_proxy": "*"}
    url = f"http://127.0.0.1:{server.server_port}/"
    return subprocess.run([ROOT / "scripts/smoke", url], env=environment, capture_output=True, text=True)


def test_an_app_that_answers_passes(server):
    assert smoke(server).returncode == 0
    assert server.seen == list(server.answers)


def test_an_app_that_is_still_starting_is_waited_for(server):
    server.answers["GET /health"] = [503, 200]
    assert smoke(server, "60").returncode == 0


@pytest.mark.parametrize(("request_", "status"), [
    ("GET /health", 503), ("GET /health/ready", 503), ("GET /api/scheduler", 200), ("POST /deliverDueConversations", 500),
])
def test_an_app_that_does_not_answer_as_it_should_fails(server, request_, status):
    server.answers[request_] = status
    ran = smoke(server)
    assert ran.returncode == 1 and request_.split()[1] in ran.stderr and str(status) in ran.stderr


# JUnit

LOG = """\
     Running unittests src/lib.rs (target/debug/deps/mcp_scheduler-0)

running 3 tests
test time::tests::a ... ok
test time::tests::b has been running for over 60 seconds
test time::tests::b ... FAILED
test time::tests::c ... ignored, not here

failures:

---- time::tests::b stdout ----
thread 'x' panicked: left \x1b[1m< & \x00right
note: run with `RUST_BACKTRACE=1`

failures:
    time::tests::b

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.50s

error: test failed, to rerun pass `--lib`
     Running tests/it/main.rs (target/debug/deps/it-0)

running 1 test
error: test failed, to rerun pass `--test it`
   Doc-tests mcp_scheduler

running 1 test
test src/lib.rs - (line 10) ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s
"""


def test_the_output_of_cargo_becomes_junit(tmp_path):
    log, file = tmp_path / "log", tmp_path / "new" / "junit.xml"
    log.write_text(LOG)
    junit.main(log, file)
    suites = junit.ET.parse(file).getroot()
    assert {key: suites.get(key) for key in ["tests", "failures", "skipped"]} == {"tests": "5", "failures": "2", "skipped": "1"}
    assert [(suite.get("name"), suite.get("tests"), suite.get("failures")) for suite in suites] == [
        ("src/lib.rs", "3", "1"), ("tests/it/main.rs", "1", "1"), ("doc-tests mcp_scheduler", "1", "0"),
    ]
    failures = [failure.text for failure in suites.iter("failure")]
    assert "left" in failures[0] and "< & " in failures[0] and "time::tests::b\n" not in failures[0]
    assert "--test it" in failures[1]


def test_a_binary_that_failed_is_no_failure_beside_its_tests():
    suite, *_ = junit.convert(LOG.splitlines(keepends=True))
    assert [case.get("name") for case in suite if case.find("failure") is not None] == ["time::tests::b"]


def test_a_log_without_tests_is_no_success(tmp_path):
    (tmp_path / "log").write_text("error: could not compile\n")
    with pytest.raises(SystemExit, match="has no test results"):
        junit.main(tmp_path / "log", tmp_path / "junit.xml")
    assert not (tmp_path / "junit.xml").exists()
