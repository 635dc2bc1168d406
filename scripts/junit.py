"""What cargo test printed, as a JUnit file.

    python3 scripts/junit.py LOG FILE

libtest writes JUnit itself only on nightly toolchains. Its text says which test failed and how, but not how long each took.
"""

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

SUITE = re.compile(r"^\s*(?:Running (?:unittests )?(?P<file>\S+) \(.*\)|Doc-tests (?P<docs>\S+))$")
RESULT = re.compile(r"^test (?P<name>.+) \.\.\. (?P<result>ok|FAILED|ignored)(?:, .*)?$")
# The binary ends before it says how each test went: a crash, or a test that ended the process.
CRASH = re.compile(r"^error: test failed, to rerun pass `(?P<which>.+)`$")
OUTPUT = re.compile(r"^---- (?P<name>.+) stdout ----$")
END = re.compile(r"^test result: .* finished in (?P<seconds>[0-9.]+)s$")
# What XML 1.0 cannot hold, whatever a test prints.
FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read(lines):
    """A <testsuites> element with a suite for every test binary."""
    suites, suite, output, finished = ET.Element("testsuites"), None, None, True
    for line in lines:
        line = line.rstrip("\n")
        if found := SUITE.match(line):
            suite = ET.SubElement(suites, "testsuite", name=found["file"] or f"doc-tests {found['docs']}")
            cases, output, finished = {}, None, False
        elif suite is None:
            continue
        elif found := RESULT.match(line):
            case = ET.SubElement(suite, "testcase", classname=suite.get("name"), name=found["name"])
            cases[found["name"]] = case
            if found["result"] != "ok":
                ET.SubElement(case, "failure" if found["result"] == "FAILED" else "skipped")
        elif found := OUTPUT.match(line):
            case = cases.get(found["name"])
            output = None if case is None else case.find("failure")
        elif found := END.match(line):
            suite.set("time", found["seconds"])
            output, finished = None, True
        elif (found := CRASH.match(line)) and not finished:
            case = ET.SubElement(suite, "testcase", classname=suite.get("name"), name="the whole test binary")
            ET.SubElement(case, "failure").text = f"ended before its tests did: {found['which']}"
            finished = True
        elif line == "failures:":
            output = None
        elif output is not None:
            output.text = (output.text or "") + FORBIDDEN.sub("\ufffd", line) + "\n"
    for element in [*suites, suites]:
        for name, of in [("tests", "testcase"), ("failures", "failure"), ("skipped", "skipped")]:
            element.set(name, str(sum(1 for _ in element.iter(of))))
    return suites


def main(arguments):
    log, target = arguments
    with open(log, encoding="utf-8", errors="replace") as lines:
        suites = read(lines)
    if suites.get("tests") == "0":
        print(f"scripts/junit.py: {log} tells of no test", file=sys.stderr)
        return 1
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    ET.ElementTree(suites).write(target, encoding="utf-8", xml_declaration=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
