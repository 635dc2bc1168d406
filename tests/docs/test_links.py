"""A link of a page leads to a file, and to a heading of it."""

import re
from pathlib import Path

import pytest
from pages import ROOT, text_of

PAGES = [page.relative_to(ROOT) for page in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])]


def anchors(page):
    """The anchors of the headings, as GitHub and Azure DevOps make them."""
    headings = [line for _, line in text_of(page) if line.startswith("#")]
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_link_leads_to_a_file_and_a_heading(page):
    for number, line in text_of(page):
        for target in re.findall(r"\]\(([^)\s]+)\)", line):
            if target.startswith(("https://", "http://")):
                continue
            file, _, heading = target.partition("#")
            linked = (ROOT / page.parent / file).resolve() if file else ROOT / page
            assert linked.exists(), f"{page}:{number}: {target}"
            assert not heading or heading in anchors(linked.relative_to(ROOT)), f"{page}:{number}: {target}"


def test_every_page_is_linked_from_the_readme():
    readme = "\n".join(line for _, line in text_of(Path("README.md")))
    for page in sorted((ROOT / "docs").glob("*.md")):
        assert f"](docs/{page.name}" in readme, page.name
