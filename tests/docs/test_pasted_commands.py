"""The commands of the pages, pasted into bash as they stand, in the order of the page.

Each page runs in a copy of the checkout and in a network of its own, which has loopback alone. So the ports are those of
the page, and no command reaches another machine. A page that does not start the service finds it running, with the client
of its first start and one conversation. A block that cannot run here has the line `<!-- not run: REASON -->` before it, which readers do not see.
"""

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pages import MARKER, PAGES, ROOT, blocks_of, lines_of, text_of

PROGRAM = Path(os.environ["PROGRAM"]).resolve()
NOT_RUN = ROOT / "tests/fixtures/commands_not_run.txt"
SECONDS = 120  # for a page; it takes ten at most

SHELLS = ["bash", "powershell"]
REASONS = [
    "Azure",  # it needs a subscription
    "another program",  # it needs a program that the tests do not install
    "builds for minutes",
    "changes the machine",
]

SERVICE = re.compile(r"^(.* )?(mcp-scheduler( dev)?|cargo run --release)( 2> \S+)?$", re.DOTALL)
# The commands that run until Ctrl-C, and what they print when they are ready. Each is the only one of its block.
UNTIL_CTRL_C = [
    (SERVICE, "is listening on"),
    (re.compile(r"^azurite\b"), "Azurite Table service is successfully listening"),
    (re.compile(r"^mcp-scheduler watch$"), ""),
]
# The beginnings of commands, by which a block that should be in a shell language is found.
PROGRAM_NAMES = "az|cargo|claude|codex|curl|docker|git|make|mcp-scheduler|npm|npx|pip|scripts/[a-z-]+|systemctl"
COMMAND = re.compile(rf"^(\$ |({PROGRAM_NAMES})( |$))", re.MULTILINE)

BLOCKS = {page: list(blocks_of(page)) for page in PAGES}
SHELL_BLOCKS = {page: [block for block in BLOCKS[page] if block.language in SHELLS] for page in PAGES}
RUN = {page: [block for block in SHELL_BLOCKS[page] if not block.reason] for page in PAGES}
RUN_PAGES = [page for page in PAGES if RUN[page]]

# What the commands find on the PATH beside the programs of the machine.
PROGRAMS = {
    "mcp-scheduler": PROGRAM,
    "azurite": ROOT / "target/azurite/node_modules/.bin/azurite",
    "openapi-python-client": ROOT / "target/openapi-venv/bin/openapi-python-client",
}
# The program is built already: `cargo run` is a build and then the program.
CARGO = """#!/usr/bin/env bash
case "$*" in
  "run --release") exec mcp-scheduler ;;
  "run --release -- "*) shift 3; exec mcp-scheduler "$@" ;;
  *) echo "cargo: this command builds; say that its block is not run" >&2; exit 1 ;;
esac
"""
# What a checkout has under target/ after scripts/test, and what npx has downloaded.
INSTALLED = {"target/venv": ROOT / "target/venv", "node_modules": ROOT / "target/mcp-clients/node_modules"}

# For a page that does not start the service.
IN_USE = [("the service", "mcp-scheduler"), ("a conversation", "mcp-scheduler schedule A --in 1h --to https://example.com/hook")]

# in_background OUTPUT TEXT COMMAND: starts a command that runs until Ctrl-C, and waits until it has printed the text.
FUNCTIONS = """set -euo pipefail
started=()
ip link set lo up
in_background() {
  eval "$3" > "$1" 2>&1 &
  for _ in {1..1200}; do
    kill -0 $! 2> /dev/null || break
    if [ -z "$2" ] || grep -q "$2" "$1"; then return; fi
    sleep 0.05
  done
  cat "$1"
  echo "this does not run until Ctrl-C, or does not print '$2': $3"
  exit 1
}
"""


def until_ctrl_c(text):
    """What a command that runs until Ctrl-C prints when it is ready; None for the commands that end."""
    return next((ready for command, ready in UNTIL_CTRL_C if command.match(text)), None)


def script(page):
    """The blocks of a page as one script. It says which block it runs."""
    texts = [(block.place, block.text) for block in RUN[page]]
    if not any(SERVICE.match(text) for _, text in texts):
        texts[:0] = IN_USE
    parts = [FUNCTIONS]
    for number, (place, text) in enumerate(texts):
        parts.append(f'echo "== {place}"')
        ready = until_ctrl_c(text)
        if ready is None:
            parts.append(text)
        else:
            words = shlex.join([f"../{number}.output", ready, text])
            parts.append(f": > ../{number}.output\nin_background {words}\nstarted+=($!)")
    parts.append('for process in "${started[@]}"; do kill -0 "$process"; done   # none has ended meanwhile')
    return "\n".join(parts)


def copy_checkout(folder):
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    for name, place in INSTALLED.items():
        assert place.exists(), f"{place} is missing: run scripts/test, which installs it"
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(place)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)


def add_programs(folder):
    folder.mkdir()
    for name, program in PROGRAMS.items():
        assert program.exists(), f"{program} is missing: run scripts/test, which installs it"
        (folder / name).symlink_to(program)
    (folder / "cargo").write_text(CARGO)
    (folder / "cargo").chmod(0o755)


def run(page):
    """Whether the commands of a page end with 0, and what they print."""
    with tempfile.TemporaryDirectory() as place:
        home, checkout, programs = (Path(place, name) for name in ["home", "checkout", "programs"])
        home.mkdir()
        # An answer of 400 or more ends a page, although curl alone would end with 0.
        (home / ".curlrc").write_text("fail-with-body\n")
        copy_checkout(checkout)
        add_programs(programs)
        # With the first process of its own process namespace, everything that the page has started ends.
        isolated = ["unshare", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
        environment = {"HOME": str(home), "PATH": f"{programs}:{os.environ['PATH']}", "LANG": "C.UTF-8", "TZ": "UTC"}
        with open(Path(place, "output"), "w+") as output:
            command = [*isolated, "bash", "-c", script(page)]
            process = subprocess.Popen(
                command, cwd=checkout, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
            try:
                code = process.wait(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                code = f"{SECONDS} seconds were not enough"
            output.seek(0)
            return code, output.read()


@pytest.fixture(scope="module")
def runs():
    """The pages run side by side: most of their time they wait."""
    with ThreadPoolExecutor(4) as threads:
        yield {page: threads.submit(run, page) for page in RUN_PAGES}


@pytest.mark.parametrize("page", RUN_PAGES)
def test_the_commands_of_a_page_run_as_they_stand(runs, page):
    code, output = runs[page].result()
    hint = "this test needs user namespaces (kernel.apparmor_restrict_unprivileged_userns=0) and iproute2"
    assert "== " in output, f"{hint}\n{output}"
    assert code == 0, f"{page} ends with {code}\n" + "\n".join(output.splitlines()[-60:])


def test_most_pages_with_commands_run():
    assert len(RUN_PAGES) >= 10, RUN_PAGES


@pytest.mark.parametrize("page", PAGES)
def test_every_block_has_a_fence_and_a_language(page):
    for block in BLOCKS[page]:
        assert block.language, f"{block.place} has no language; use text for what is no code"
    lines = [(0, ""), *text_of(page)]
    for (_, before), (number, line) in zip(lines, lines[1:]):
        indented = line.startswith("    ") and not line.lstrip().startswith(("-", "|")) and before == ""
        assert not indented, f"{page}:{number} is a block without a fence"


@pytest.mark.parametrize("page", PAGES)
def test_commands_are_in_a_block_of_a_shell(page):
    for block in BLOCKS[page]:
        if block.language in ["text", "json", "console", "sh", "shell"]:
            assert not COMMAND.search(block.text), f"{block.place} has a command; its language is bash"


@pytest.mark.parametrize("page", PAGES)
def test_a_block_that_does_not_run_says_why(page):
    marked = {block.line - 1: block for block in SHELL_BLOCKS[page] if block.reason}
    for number, line in enumerate(lines_of(page), 1):
        if marker := MARKER.match(line):
            assert number in marked, f"{page}:{number} is not before a block of commands"
            assert marker["reason"] in REASONS, f"{page}:{number} says none of {REASONS}"
    for block in RUN[page]:
        assert block.language == "bash", f"{block.place} cannot run here; say why"


def test_the_blocks_that_do_not_run_are_listed():
    """A new one is seen in review. UPDATE_ANSWERS=1 writes the list."""
    marked = [block for page in PAGES for block in SHELL_BLOCKS[page] if block.reason]
    listed = "".join(f"{block.page} | {block.reason} | {block.first_line}\n" for block in marked)
    if os.environ.get("UPDATE_ANSWERS"):
        NOT_RUN.write_text(listed)
    assert NOT_RUN.read_text() == listed, "UPDATE_ANSWERS=1 writes this list"
