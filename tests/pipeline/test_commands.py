"""The Makefile, and .ci/run beside the stage Build: people, .ci/run and the pipeline call the same commands."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE)
HABITS = ["run", "demo", "test", "test-fast", "hold", "lint", "fmt", "bench", "package", "docs"]


# The variables of a surrounding `make test` or git hook must not reach the calls here, nor a person's git settings.
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS", "GIT_"))}
ENVIRONMENT["GIT_CONFIG_GLOBAL"] = ENVIRONMENT["GIT_CONFIG_SYSTEM"] = os.devnull


def make(*arguments, cwd=ROOT):
    return subprocess.run(["make", *arguments], cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True)


def steps_of_ci():
    return subprocess.run([ROOT / ".ci/run", "--list"], capture_output=True, text=True, check=True).stdout.splitlines()


def steps_of_build():
    build, *_ = yaml.safe_load((ROOT / "azure-pipelines.yml").read_text())["stages"]
    scripts = [step["script"] for step in build["jobs"][0]["steps"] if "script" in step]
    return [script.replace("$(Build.ArtifactStagingDirectory)", "target/ci") for script in scripts]


# The commands


def test_make_alone_lists_every_command_with_one_line_each():
    ran = make()
    listed = dict(re.findall(r"^  make ([a-z-]+) +(\S.*)$", ran.stdout, re.MULTILINE))
    assert list(listed) == TARGETS
    assert len(ran.stdout.splitlines()) == len(TARGETS)


@pytest.mark.parametrize("habit", HABITS)
def test_a_habit_has_a_command(habit):
    assert habit in TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_a_command_is_no_file_and_calls_a_script_that_exists(target):
    assert target in re.search(r"^\.PHONY: (.*)", MAKEFILE.replace("\\\n", " "), re.MULTILINE)[1].split()
    dry = make("--dry-run", target)
    assert dry.returncode == 0, dry.stderr
    for script in re.findall(r"(?<!\S)(?:scripts|\.ci)/[\w-]+", dry.stdout):
        assert os.access(ROOT / script, os.X_OK), script


@pytest.mark.parametrize(("arguments", "command"), [
    (["test", "ARGS=process::killing"], "scripts/test process::killing"),
    (["test-fast", "ARGS=store::"], "scripts/test-fast store::"),
    (["run", "ARGS=client add me"], "cargo run --release -- client add me"),
    (["run"], "cargo run --release"),
    (["bench", "ARGS=--bench load -- stalled-host"], "cargo bench --locked --bench load -- stalled-host"),
    (["coverage", "COBERTURA=a.xml"], "scripts/coverage a.xml"),
    (["drop", "DROP=a"], "scripts/drop a"),
])
def test_arguments_reach_the_command(arguments, command):
    assert make("--dry-run", *arguments).stdout.strip() == command


def test_variables_reach_the_script(tmp_path):
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "Makefile", tmp_path)
    script = tmp_path / "scripts/test"
    script.write_text('#!/usr/bin/env bash\necho "$JUNIT $PACKAGED_APP"\n')
    script.chmod(0o755)
    assert "a.xml an/app" in make("test", "JUNIT=a.xml", "PACKAGED_APP=an/app", cwd=tmp_path).stdout


SKIPPED = re.search(r"^skipped=\((.*?)^\)", (ROOT / "scripts/test-fast").read_text(), re.MULTILINE | re.DOTALL)[1].split()


@pytest.mark.parametrize("skipped", SKIPPED)
def test_the_fast_tests_skip_a_module_or_a_test_that_exists(skipped):
    *modules, test = skipped.split("::")
    place = ROOT / "tests/it" / "/".join(modules)
    source = next(path for path in (place.with_suffix(".rs"), place / "mod.rs") if path.is_file())
    assert not test or re.search(rf"^(?:async )?fn {test}\(\)", source.read_text(), re.MULTILINE)


def test_the_fast_tests_skip_whatever_starts_a_process_a_host_or_azurite():
    tests = ROOT / "tests/it"
    for source in tests.rglob("*.rs"):
        module = "::".join(source.relative_to(tests).with_suffix("").parts).removesuffix("::mod") + "::"
        starts = re.search(r"Command::new|support::(azurite|service|host_harness|python)\b", source.read_text())
        if module.startswith("support::") or not starts:
            continue
        assert any(module.startswith(skipped) or skipped.startswith(module) for skipped in SKIPPED), module


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "scripts/pre-commit", tmp_path / "scripts")
    lint = tmp_path / "scripts/lint"
    lint.write_text('#!/usr/bin/env bash\necho "lint $*" >> lints\n[ ! -e wrong ]\n')
    lint.chmod(0o755)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, env=ENVIRONMENT, check=True)
    return tmp_path


def commit(checkout):
    subprocess.run(["git", "add", "--all"], cwd=checkout, env=ENVIRONMENT, check=True)
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    command = ["git", *identity, "commit", "--quiet", "--message", "x"]
    return subprocess.run(command, cwd=checkout, env=ENVIRONMENT, capture_output=True).returncode


def test_the_hook_runs_the_fast_lints_before_a_commit(checkout):
    assert make("hook", cwd=checkout).returncode == 0
    assert commit(checkout) == 0
    assert (checkout / "lints").read_text() == "lint fast\n"
    (checkout / "wrong").touch()
    assert commit(checkout) != 0


def test_the_hook_refuses_blanks_at_the_end_of_a_line(checkout):
    assert make("hook", cwd=checkout).returncode == 0
    (checkout / "text").write_text("text \n")
    assert commit(checkout) != 0


def test_a_hook_that_is_there_already_is_kept(checkout):
    hook = checkout / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("mine")
    assert make("hook", cwd=checkout).returncode != 0
    assert hook.read_text() == "mine"


def test_the_fast_lints_take_no_other_argument():
    ran = subprocess.run([ROOT / "scripts/lint", "slow"], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (2, "usage: scripts/lint [fast]\n")


# .ci/run


def test_ci_runs_the_steps_of_build_without_the_internet_and_without_compiling_everything_again():
    left_out = [
        "make advisories", "make coverage COBERTURA=target/ci/tests/cobertura.xml", "make package",
        "make drop DROP=target/ci/drop",
    ]
    build = steps_of_build()
    assert set(left_out) <= set(build)
    # Without a package, the tests pack the program of the debug build.
    without_package = [step.replace("PACKAGED_APP=target/package/app ", "") for step in build]
    assert steps_of_ci() == [step for step in without_package if step not in left_out]


class Ci:
    """A copy of .ci/run whose `make` notes its calls, fails for some targets and leaves test results."""

    def __init__(self, place):
        self.place = place
        (place / ".ci").mkdir()
        shutil.copy(ROOT / ".ci/run", place / ".ci")
        (place / "bin").mkdir()
        self.failing, self.junit = "", ""
        stand_in = place / "bin/make"
        stand_in.write_text(
            '#!/usr/bin/env bash\necho "$*" >> calls\necho "$CARGO_TARGET_DIR" > target_dir\n'
            'if [ "$1" = test ] && [ -n "$RESULTS" ]; then\n'
            '  mkdir -p target/ci/tests\n  echo "$RESULTS" > target/ci/tests/junit.xml\nfi\n'
            'case " $FAILING " in *" $1 "*) exit 7 ;; esac\n'
            # What the tests need must be under way beside the step after the toolchain.
            'for _ in {1..100}; do [ "$1" != lint ] || grep -q prepare calls && exit 0; sleep 0.1; done; exit 8\n'
        )
        stand_in.chmod(0o755)

    def calls(self):
        return [f"make {call}" for call in (self.place / "calls").read_text().splitlines()]

    def run(self, failing="", results=""):
        environment = os.environ | {
            "PATH": f"{self.place / 'bin'}:{os.environ['PATH']}", "FAILING": failing, "RESULTS": results,
            "CARGO_TARGET_DIR": "elsewhere",
        }
        return subprocess.run([self.place / ".ci/run"], cwd="/", env=environment, capture_output=True, text=True)


RESULTS = """<testsuites tests="4"><testsuite>
<testcase name="a"/><testcase name="b"/><testcase name="c"><skipped /></testcase>
<testcase name="d"><failure>&lt;failure &lt;testcase</failure></testcase>
</testsuite></testsuites>"""
PASSED = '<testsuites><testsuite><testcase name="a" /><testcase name="b" /></testsuite></testsuites>'


@pytest.fixture
def ci(tmp_path):
    return Ci(tmp_path)


def test_ci_ends_with_the_number_of_tests(ci):
    ran = ci.run(results=PASSED)
    assert ran.returncode == 0, ran.stdout
    assert ran.stdout.endswith("\n2 passed, 0 failed\n")
    # What the tests need is installed beside the first steps, so it may be anywhere before the tests.
    calls = ci.calls()
    assert calls.index("make prepare") < calls.index(next(step for step in steps_of_ci() if step.startswith("make test")))
    calls.remove("make prepare")
    assert calls == steps_of_ci()


def test_ci_runs_every_step_after_one_that_failed(ci):
    ran = ci.run(failing="toolchain lint test", results=RESULTS)
    assert ran.returncode == 1
    assert set(ci.calls()) == {*steps_of_ci(), "make prepare"}
    assert "== make lint: failed with 7, " in ran.stdout and "== make deny: ok, " in ran.stdout
    assert "== failed: make toolchain\n== failed: make lint\n== failed: make test " in ran.stdout


def test_ci_counts_failed_and_skipped_tests(ci):
    ran = ci.run(failing="test", results=RESULTS)
    assert ran.returncode == 1 and ran.stdout.endswith("\n2 passed, 1 failed\n")


def test_ci_never_ends_with_0_failed_after_a_step_that_failed(ci):
    ran = ci.run(failing="lint", results=PASSED)
    assert ran.returncode == 1 and ran.stdout.endswith("\n2 passed, 1 failed\n")


def test_ci_does_not_count_the_results_of_an_earlier_run(ci):
    assert ci.run(results=PASSED).returncode == 0
    ran = ci.run(failing="test")
    assert ran.returncode == 1 and ran.stdout.endswith("\n0 passed, 1 failed\n")


def test_ci_times_each_step(ci):
    assert len(re.findall(r"^== make .*: ok, \d+ s$", ci.run(results=PASSED).stdout, re.MULTILINE)) == len(steps_of_ci())


def test_ci_keeps_the_build_in_this_checkout(ci):
    ci.run(results=PASSED)
    assert (ci.place / "target_dir").read_text().strip() == str(ci.place / "target")
