"""Checks that the Azure Functions host will find, start and index a package.

    python3 scripts/package_check.py target/package/mcp-scheduler-0.1.0.zip

It reports all problems, not only the first.
"""

import json
import os
import re
import stat
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from package_needs import NotAProgram, read_needs

# The oldest image on which the host has been run: Debian 11.
NEWEST_GLIBC = (2, 31)
LARGEST_ZIP = 8_000_000
# The libraries of glibc. Another library may be missing on an image.
GLIBC = {"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "ld-linux-x86-64.so.2"}
INTERPRETER = "/lib64/ld-linux-x86-64.so.2"
# The host accepts these names for a function; it keeps "host" for itself.
FUNCTION = re.compile(r"(?!host$)[a-z][a-z0-9_-]{0,127}", re.IGNORECASE)
MODE_OF_PROGRAM, MODE_OF_FILE = 0o755, 0o644
MADE_BY_UNIX = 3


@dataclass(frozen=True)
class Summary:
    size: int
    entries: int
    functions: int
    binary: str
    binary_size: int
    glibc: str
    version: str

    def __str__(self):
        glibc = f"{self.glibc} or newer" if self.glibc else "none, the program is static"
        return (
            f"  size     {self.size / 1e6:.2f} MB zipped (at most {LARGEST_ZIP / 1e6:.0f}), "
            f"{self.binary_size / 1e6:.2f} MB the program {self.binary}\n"
            f"  glibc    {glibc} (at most {_dotted(NEWEST_GLIBC)} allowed)\n"
            f"  entries  {self.entries}: {self.functions} functions, host.json, {self.binary}\n"
            f"  starts   {self.version}"
        )


class BadPackage(Exception):
    def __init__(self, problems):
        super().__init__("\n".join(problems))
        self.problems = problems


def check(path):
    """Returns the Summary of a correct package; raises BadPackage with all problems of another."""
    try:
        with zipfile.ZipFile(path) as package:
            size = os.path.getsize(path)
            return _check(package, size, Path(path).resolve().parent)
    except (OSError, zipfile.BadZipFile) as error:
        raise BadPackage([f"{path} cannot be read as a zip file: {error}"]) from error


def _check(package, size, scratch):
    problems = []
    if size > LARGEST_ZIP:
        problems.append(
            f"the zip file has {size} bytes; at most {LARGEST_ZIP} are allowed, because size slows the cold start"
        )
    binary = _executable(package, problems)
    problems += layout(package, binary)
    problems += routes(package)
    problems += modes(package, binary)
    glibc = version = ""
    program = package.read(binary) if binary in package.namelist() else None
    if program is not None:
        glibc, unmet = machine_needs(program)
        problems += unmet
    # A program of a refused package is not trusted, so it is not started.
    if program is not None and not problems:
        version = _start(program, scratch, problems)
    if problems:
        raise BadPackage(problems)
    names = package.namelist()
    functions = sum(name.endswith("/function.json") for name in names)
    return Summary(size, len(names), functions, binary, len(program), glibc, version)


def _executable(package, problems):
    """The name of the program in host.json, or None."""
    try:
        host = json.loads(package.read("host.json"))
        name = host["customHandler"]["description"]["defaultExecutablePath"]
    except KeyError as missing:
        problems.append(
            f"host.json at the root of the zip file, or its {missing}, is missing: the host would start no program"
        )
        return None
    except (ValueError, TypeError) as error:
        problems.append(f"the host cannot read host.json: {error}")
        return None
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", name):
        problems.append(
            f"defaultExecutablePath in host.json is {name!r}; it must be the bare name of the program "
            "(no ./ before it), because tools that repack the zip compare it with the entry's name"
        )
        return None
    if name not in package.namelist():
        problems.append(f"{name}, the defaultExecutablePath in host.json, is not in the zip file")
    return name


def layout(package, binary):
    problems = []
    names = package.namelist()
    if names != sorted(set(names)):
        problems.append("entries are not sorted, or one occurs twice: the same commit would give different packages")
    if len({entry.date_time for entry in package.infolist()}) > 1:
        problems.append("the entries differ in their time: the same commit would give different packages")
    for name in names:
        folder, _, file = name.rpartition("/")
        if name in ("host.json", binary):
            continue
        if name.split("/")[-1] == "local.settings.json":
            problems.append(f"{name} is for a developer's machine and may contain keys; it must not be deployed")
        elif file != "function.json":
            problems.append(f"{name} is not part of the app (host.json, the program, <function>/function.json)")
        elif not FUNCTION.fullmatch(folder):
            problems.append(
                f"the host does not find {name}: it reads only <function>/function.json directly below the root, "
                "where <function> is a letter followed by letters, digits, _ and -, and is not host"
            )
        else:
            problems += _json_object(package, name)
    folders = (name.removesuffix("/function.json") for name in names if name.endswith("/function.json"))
    if not any(map(FUNCTION.fullmatch, folders)):
        problems.append("there is no <function>/function.json: without functions the host never starts the program")
    return problems


def _json_object(package, name):
    try:
        if isinstance(json.loads(package.read(name)), dict):
            return []
        return [f"{name} is not a JSON object"]
    except ValueError as error:
        return [f"{name} is not JSON: {error}"]


def http_trigger(function):
    """The binding through which the host routes requests to a function, or None."""
    bindings = function.get("bindings", [])
    return next((binding for binding in bindings if str(binding.get("type")).lower() == "httptrigger"), None)


def routes(package):
    """The host posts invocations to /<function> on the program's port, so no route may match such a path."""
    files = [name for name in package.namelist() if re.fullmatch(r"[^/]+/function\.json", name)]
    triggers = {}
    for name in files:
        try:
            triggers[name.split("/")[0]] = http_trigger(json.loads(package.read(name)))
        except (ValueError, AttributeError):
            pass  # layout() reports it
    invoked = [name for name, trigger in triggers.items() if trigger is None]
    return [
        f"the route {route} of {name} lets everybody call {target}, which only the host may call"
        for name, trigger in triggers.items()
        if trigger is not None
        for route in [trigger.get("route", name)]
        for target in invoked
        if _matches(route, target)
    ]


def _matches(route, name):
    """Whether a route matches the path /<name>, which has one segment. The host ignores the case."""
    parameter = re.fullmatch(r"\{\*{0,2}\w+(?::regex\((.*)\))?\??\}", route)
    if parameter is None:
        # A template that is not understood here counts as a match.
        return route.lower() == name.lower() or route.startswith("{")
    return parameter[1] is None or re.search(parameter[1], name, re.IGNORECASE) is not None


def modes(package, binary):
    problems = []
    for entry in package.infolist():
        name = entry.filename
        if entry.create_system != MADE_BY_UNIX:
            problems.append(f"{name} is not marked as made by Unix, so its mode is lost when it is unpacked")
            continue
        mode = entry.external_attr >> 16
        wanted = MODE_OF_PROGRAM if name == binary else MODE_OF_FILE
        if not stat.S_ISREG(mode):
            problems.append(f"{name} is not a plain file")
        elif stat.S_IMODE(mode) != wanted:
            problems.append(f"{name} has mode {stat.S_IMODE(mode):04o}, not {wanted:04o}")
    return problems


def machine_needs(program):
    """The newest glibc version that the program needs ("" if static), and the needs that an old image does not meet."""
    try:
        needs = read_needs(program)
    except NotAProgram as error:
        return "", [f"the program is {error}"]
    problems = []
    if needs.interpreter not in ("", INTERPRETER):
        problems.append(f"the program needs the loader {needs.interpreter}, which images with glibc do not have")
    for library in sorted(set(needs.libraries) - GLIBC):
        problems.append(f"the program needs {library}, which is not part of glibc and may be missing on an image")
    newest = (0, 0)
    for version in needs.versions:
        number = re.fullmatch(r"GLIBC_(\d+)\.(\d+)(\.\d+)?", version)
        if number is None:
            problems.append(f"the program needs {version}, which does not tell the version of glibc")
        else:
            newest = max(newest, (int(number[1]), int(number[2])))
    if newest > NEWEST_GLIBC:
        problems.append(
            f"the program needs glibc {_dotted(newest)}; the oldest image has {_dotted(NEWEST_GLIBC)}. "
            "Was it built with plain cargo build? scripts/package builds for an old glibc"
        )
    return (_dotted(newest) if needs.versions else ""), problems


def _dotted(version):
    return ".".join(map(str, version))


def _start(program, scratch, problems):
    """The program's answer to --version, in an empty environment.

    It runs beside the zip file, because some machines forbid programs in the directory for temporary files.
    """
    with tempfile.TemporaryDirectory(dir=scratch) as directory:
        file = Path(directory, "program")
        file.write_bytes(program)
        file.chmod(MODE_OF_PROGRAM)
        try:
            run = subprocess.run(
                [file, "--version"], env={}, cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, timeout=10
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            problems.append(f"the program does not start on this machine: {error}")
            return ""
    if run.returncode != 0:
        problems.append(f"the program ended with {run.returncode} on --version: {run.stderr.decode(errors='replace')}")
        return ""
    return run.stdout.decode(errors="replace").strip()


def main(arguments):
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        print(check(arguments[0]))
    except BadPackage as bad:
        for problem in bad.problems:
            print(f"package: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
