"""The table of programs in docs/mcp.md says what the tests do: tests/mcp-clients/programs.json, by which they choose programs."""

import json
import re

import pytest
from pages import ROOT

ROWS = json.loads((ROOT / "tests/mcp-clients/programs.json").read_text())
# What the folders under target/ are installed from.
SOURCES = {
    "venv": "tests/requirements.txt",
    "mcp-clients-venv": "tests/mcp-clients/requirements.txt",
    "mcp-clients-sdk-2-venv": "tests/mcp-clients/sdk-2-requirements.txt",
    "mcp-clients-sdk-1.12-venv": "tests/mcp-clients/sdk-1.12-requirements.txt",
    "mcp-clients": "tests/mcp-clients/package.json",
}


def locked_version(row):
    text = (ROOT / SOURCES[row["folder"]]).read_text()
    if SOURCES[row["folder"]].endswith(".json"):
        return json.loads(text)["dependencies"][row["package"]]
    return re.search(rf"^{re.escape(row['package'])}(?:\[\w+\])?==(\S+)$", text, re.MULTILINE)[1]


def test_the_table_of_programs_has_the_programs_and_what_the_tests_do_with_each():
    table = re.search(r"^\| program \| with the address alone .*\n\|[-|]+\n((?:\|.*\n)+)", (ROOT / "docs/mcp.md").read_text(), re.MULTILINE)
    shown = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()]
    names = [" ".join(filter(None, [row["program"], row.get("version")])) for row in ROWS]
    assert shown == [[name, row["address"], row["key"], row["credentials"]] for name, row in zip(names, ROWS)]


@pytest.mark.parametrize("row", [row for row in ROWS if "tested" in (row["address"], row["key"])], ids=lambda row: row["package"])
def test_the_version_is_the_one_that_is_installed(row):
    assert row["version"] == locked_version(row)
