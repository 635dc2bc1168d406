"""Programs on the PATH that stand in for those that call Azure. They record their arguments and give set answers."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

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
        return self.execute([ROOT / "scripts" / script, *arguments], "/", **environment)

    def execute(self, command, directory, **environment):
        base = {key: value for key, value in os.environ.items() if not key.startswith("AZURE_DEVOPS")}
        environment = base | {"PATH": f"{self.place}:{os.environ['PATH']}", "SMOKE_SECONDS": "0", **environment}
        return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=directory)

    def calls(self):
        file = self.place / "calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def option(call, name):
    return call[call.index(name) + 1]


# The app of production, for the commands of docs/deploy.md and docs/runbook.md.
CURL = """#!/usr/bin/env bash
case "$*" in
  *other-app.azurewebsites.net/api/auth/token*'"apiKey":"production-key"'*) echo '{"token":"the-token","expiresIn":3600}' ;;
  */api/scheduler/schedule*"Bearer the-token"*'"delay":"1m"}') echo '{"conversationId":"the-id","status":"Scheduled"}' ;;
  */api/scheduler/status/the-id*"Bearer the-token") echo '{"status":"Completed"}' ;;
  */health | */health/ready) printf 200 ;;
  */api/scheduler) printf 401 ;;
  *) printf 404 ;;
esac
"""


class Checkout:
    """A copy of what the pages of docs/ use, with names of its own."""

    def __init__(self, place):
        self.place = place / "checkout"
        self.place.mkdir()
        for part in ["scripts", "infra", "pipelines"]:
            shutil.copytree(ROOT / part, self.place / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "azure-pipelines.yml", self.place)
        file = self.place / "infra/names.yml"
        text = file.read_text().replace("your-azure-subscription", "My connection")
        file.write_text(text.replace("mcp-scheduler", "other").replace("mcpscheduler", "other"))
        self.program(self.place / "scripts/integration", "exit 0")
        (place / "programs").mkdir()
        self.azure = Azure(place / "programs")
        self.azure.answers("git", [])
        self.azure.answers("sleep", [])
        self.azure.answers("mcp-scheduler", [])
        self.program(place / "programs/curl", CURL)

    def program(self, file, text):
        file.write_text(text)
        file.chmod(0o755)

    def paste(self, blocks):
        return self.azure.execute(["bash", "-euo", "pipefail", "-c", "\n".join(blocks)], self.place)

    def calls(self, *beginning):
        return [call for call in self.azure.calls() if call[1:1 + len(beginning)] == list(beginning)]
