"""azure-pipelines.yml as Azure Pipelines reads it, as far as this repository uses it; and its script steps, run here.

    python scripts/pipeline.py run Build [--without "display name"]...   runs the script steps of a stage
    python scripts/pipeline.py show                                     prints the stages with their templates filled in

What needs a service of Azure (tasks, downloads, publishing) is not run. Needs PyYAML: target/venv/bin/python.
"""

import argparse
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
PIPELINE = ROOT / "azure-pipelines.yml"
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
PARAMETER = re.compile(r"parameters\.(\w+)")
CONDITION = re.compile(r"if (eq|ne)\(parameters\.(\w+), (true|false|'[^']*')\)")
# Evaluated as each step begins; what is not known is left as it is, as Azure Pipelines does.
MACRO = re.compile(r"\$\(([\w.]+)\)")


class Loader(yaml.SafeLoader):
    """Reads `on` as text, as Azure Pipelines does, and not as YAML 1.1's other word for true."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("true|false"), "tf")


class Unsupported(Exception):
    """The file uses something that this program cannot fill in."""


def load(path=PIPELINE, arguments=None):
    """The file as Azure Pipelines sees it after template expansion: no ${{ }} and no template is left."""
    document = yaml.load(path.read_text(), Loader)
    values = {}
    for parameter in document.pop("parameters", []):
        name = parameter["name"]
        if name in (arguments or {}):
            values[name] = arguments[name]
        elif "default" in parameter:
            values[name] = parameter["default"]
        else:
            raise Unsupported(f"{path.name}: parameter {name} has no value")
    unknown = set(arguments or {}) - set(values)
    if unknown:
        raise Unsupported(f"{path.name} has no parameter {', '.join(sorted(unknown))}")
    return _fill(document, values, path)


def _fill(node, values, path):
    if isinstance(node, dict):
        filled = {}
        for key, value in node.items():
            if found := CONDITION.fullmatch(_inside(key) or ""):
                if _holds(found, values, path):
                    filled.update(_fill(value, values, path))
            elif EXPRESSION.search(key):
                raise Unsupported(f"{path.name}: {key}")
            else:
                filled[key] = _fill(value, values, path)
        return filled
    if isinstance(node, list):
        filled = []
        for item in node:
            if isinstance(item, dict) and "template" in item:
                filled += load(path.parent / item["template"], _fill(item.get("parameters", {}), values, path))["jobs"]
            else:
                filled.append(_fill(item, values, path))
        return filled
    if not isinstance(node, str):
        return node
    # Alone, an expression keeps its type; in a text, it becomes text.
    if inside := _inside(node):
        return _value(inside, values, path)
    return EXPRESSION.sub(lambda found: str(_value(found[1], values, path)), node)


def _inside(text):
    found = EXPRESSION.fullmatch(text)
    return found and found[1]


def _value(expression, values, path):
    found = PARAMETER.fullmatch(expression)
    if not found or found[1] not in values:
        raise Unsupported(f"{path.name}: ${{{{ {expression} }}}}")
    return values[found[1]]


def _holds(condition, values, path):
    comparison, name, literal = condition.groups()
    wanted = {"true": True, "false": False}.get(literal, literal.strip("'"))
    return (_value(f"parameters.{name}", values, path) == wanted) == (comparison == "eq")


def steps_of(stage):
    """Every step of a stage, in order, whatever kind of job it is in."""
    for job in stage["jobs"]:
        yield from job.get("steps", [])
        for strategy in job.get("strategy", {}).values():
            for hook in [*strategy.items(), *strategy.get("on", {}).items()]:
                yield from hook[1].get("steps", [])


def variables_of(document):
    return {item["name"]: item["value"] for item in document["variables"] if "name" in item}


def expand(text, variables):
    return MACRO.sub(lambda found: variables.get(found[1], found[0]), text)


def run(stage_name, without):
    """Runs each script step in a shell of its own, even after one that failed, and returns those that failed."""
    document = load()
    stage = next(stage for stage in document["stages"] if stage["stage"] == stage_name)
    work = ROOT / "target" / "pipeline"
    variables = variables_of(document) | {
        "System.DefaultWorkingDirectory": str(ROOT),
        "Build.ArtifactStagingDirectory": str(work / "staging"),
    }
    (work / "staging").mkdir(parents=True, exist_ok=True)
    steps = [step for step in steps_of(stage) if "script" in step]
    unknown = set(without) - {step["displayName"] for step in steps}
    if unknown:
        raise Unsupported(f"the stage {stage_name} has no step {', '.join(sorted(unknown))}")
    failed = []
    for step in steps:
        name = step["displayName"]
        if name in without:
            print(f"\n== {name}: left out", flush=True)
            continue
        print(f"\n== {name}", flush=True)
        environment = os.environ | {key: expand(value, variables) for key, value in step.get("env", {}).items()}
        began = time.monotonic()
        script = expand(step["script"], variables)
        code = subprocess.run(["bash", "--noprofile", "--norc", "-ec", script], cwd=ROOT, env=environment).returncode
        print(f"== {name}: {'ok' if code == 0 else f'FAILED with {code}'}, {time.monotonic() - began:.0f} s", flush=True)
        if code:
            failed.append(name)
    # Nobody can publish what a step that was left out would have made.
    left_out = expand(" ".join(step["script"] for step in steps if step["displayName"] in without), variables)
    return failed + [f"{path} was not made" for path in missing(stage, variables) if path not in left_out]


def missing(stage, variables):
    """What the stage would publish and no step has made."""
    wanted = []
    for step in steps_of(stage):
        inputs = step.get("inputs", {})
        wanted += [step.get("publish"), inputs.get("testResultsFiles"), inputs.get("summaryFileLocation")]
    paths = [Path(expand(path, variables)) for path in wanted if path]
    return [str(path) for path in paths if not path.exists()]


def summary(results):
    """The last line: how many tests passed and failed."""
    totals = ET.parse(results).getroot() if results.exists() else {}
    tests, failures = int(totals.get("tests", 0)), int(totals.get("failures", 1))
    return f"{tests - failures if tests else 0} passed, {failures} failed"


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run")
    runner.add_argument("stage")
    runner.add_argument("--without", action="append", default=[], metavar="NAME")
    commands.add_parser("show")
    options = parser.parse_args(arguments)
    try:
        if options.command == "show":
            yaml.safe_dump(load(), sys.stdout, sort_keys=False, width=200)
            return 0
        began = time.monotonic()
        failed = run(options.stage, options.without)
    except Unsupported as error:
        print(f"scripts/pipeline.py: {error}", file=sys.stderr)
        return 2
    print(f"\n== {time.monotonic() - began:.0f} s in all{'; failed: ' + ', '.join(failed) if failed else ''}")
    print(summary(ROOT / "target" / "pipeline" / "staging" / "tests" / "junit.xml"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
