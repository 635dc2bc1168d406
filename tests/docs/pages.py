"""The pages for readers: README.md, CONTRIBUTING.md and docs/*.md, and the blocks of code in them."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))]

FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\S*)$")
MARKER = re.compile(r"^ *<!-- not run: (?P<reason>.*) -->$")


@dataclass
class Block:
    page: str
    line: int  # of the fence
    language: str
    text: str
    reason: str | None  # why it does not run

    @property
    def place(self):
        return f"{self.page}:{self.line}"

    @property
    def first_line(self):
        return self.text.splitlines()[0]


def lines_of(page):
    return (ROOT / page).read_text().splitlines()


def blocks_of(page):
    lines, number = lines_of(page), 0
    while number < len(lines):
        fence = FENCE.match(lines[number])
        if not fence:
            number += 1
            continue
        end = lines.index(f"{fence['indent']}```", number + 1)
        text = "\n".join(line.removeprefix(fence["indent"]) for line in lines[number + 1 : end])
        marker = MARKER.match(lines[number - 1])
        yield Block(page, number + 1, fence["language"], text, marker and marker["reason"])
        number = end + 1


def text_of(page):
    """The lines of a page outside its blocks, with their numbers."""
    inside = False
    for number, line in enumerate(lines_of(page), 1):
        if line.lstrip().startswith("```"):
            inside = not inside
        elif not inside:
            yield number, line
