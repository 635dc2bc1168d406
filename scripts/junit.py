"""Converts the output of cargo test to a JUnit file: python3 scripts/junit.py LOG FILE

libtest writes JUnit only on nightly toolchains. cargo-nextest starts a process for each test, and each would need its
own Azurite.
"""

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

BINARY = re.compile(r"\s*(?:Running (?:unittests )?(\S+) \(.*\)|Doc-tests (\S+))")
RESULT = re.compile(r"test (.+) \.\.\. (ok|FAILED|ignored)(?:, .*)?")
OUTPUT = re.compile(r"---- (.+) stdout ----")
# cargo reports this for each binary that failed. A binary that crashed has printed no "test result:" before.
FAILED = re.compile(r"error: test failed, to rerun pass `(.+)`")
# XML 1.0 cannot hold these characters, but a test may print them.
FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def convert(lines):
    """A <testsuites> element with a suite for each test binary."""
    suites = ET.Element("testsuites")
    suite, cases, failure, running = None, {}, None, False
    for line in map(str.rstrip, lines):
        if found := BINARY.fullmatch(line):
            suite = ET.SubElement(suites, "testsuite", name=found[1] or f"doc-tests {found[2]}")
            cases, failure, running = {}, None, True
        elif suite is None:
            continue
        elif found := RESULT.fullmatch(line):
            cases[found[1]] = _case(suite, found[1])
            if found[2] != "ok":
                ET.SubElement(cases[found[1]], "failure" if found[2] == "FAILED" else "skipped")
        elif (found := OUTPUT.fullmatch(line)) and found[1] in cases:
            failure = cases[found[1]].find("failure")
        elif line == "failures:" or line.startswith("test result: "):
            failure, running = None, running and line == "failures:"
        elif running and (found := FAILED.fullmatch(line)):
            crash = _case(suite, "the whole test binary")
            ET.SubElement(crash, "failure").text = f"ended before its tests did: {found[1]}"
        elif failure is not None:
            failure.text = (failure.text or "") + FORBIDDEN.sub("\ufffd", line) + "\n"
    for element in [*suites, suites]:
        for attribute, tag in [("tests", "testcase"), ("failures", "failure"), ("skipped", "skipped")]:
            element.set(attribute, str(len(element.findall(f".//{tag}"))))
    return suites


def _case(suite, name):
    return ET.SubElement(suite, "testcase", classname=suite.get("name"), name=name)


def main(log, target):
    with open(log, encoding="utf-8", errors="replace") as lines:
        suites = convert(lines)
    if suites.get("tests") == "0":
        sys.exit(f"scripts/junit.py: {log} has no test results")
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    ET.ElementTree(suites).write(target, encoding="utf-8", xml_declaration=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
