"""The scripts of a deployment, with stand-ins for the programs that call Azure."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from stand_in import Azure, option

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import junit  # noqa: E402

@pytest.fixture
def azure(tmp_path):
    return Azure(tmp_path)


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
