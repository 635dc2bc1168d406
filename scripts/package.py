"""Stages the function app, zips it and checks the zip file. scripts/package builds the program and calls this.

    python3 scripts/package.py PROGRAM [--root DIR] [--out DIR]
    python3 scripts/package.py PROGRAM [--root DIR] --stage DIR

The root contains host.json, functions/ and Cargo.toml. The app goes to OUT/app, the zip file to OUT. The same files
and the same SOURCE_DATE_EPOCH give the same bytes. With --stage the app goes to that directory, unchecked and without
a zip file: the tests stage programs of debug builds.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import sys
import time
import zipfile
from pathlib import Path

import package_check
from package_check import MADE_BY_UNIX, MODE_OF_FILE, MODE_OF_PROGRAM, BadPackage, http_trigger

# The zip format cannot express an earlier time.
EARLIEST = 315_532_800
S_IFREG = 0o100000
# A route that matches every path.
CATCH_ALL = re.compile(r"\{\*(\w+)\}")


class CannotPackage(Exception):
    """The message tells how to correct the cause."""


def stage(root, program, app):
    """Copies host.json, the program and the functions to `app`, in the layout that the host reads."""
    host = root / "host.json"
    if not host.is_file():
        raise CannotPackage(f"{host} is missing: it names the program that the host starts")
    try:
        name = json.loads(host.read_bytes())["customHandler"]["description"]["defaultExecutablePath"]
    except (ValueError, KeyError, TypeError) as error:
        raise CannotPackage(f"{host} has no customHandler.description.defaultExecutablePath: {error!r}") from error
    # The host looks for function.json only in folders directly beside host.json.
    functions = sorted((root / "functions").glob("*/function.json"))
    if not functions:
        raise CannotPackage(f"{root / 'functions'} has no <function>/function.json")
    shutil.rmtree(app, ignore_errors=True)
    app.mkdir(parents=True)
    app.chmod(0o755)
    _copy(host, app / "host.json", MODE_OF_FILE)
    _copy(program, app / name, MODE_OF_PROGRAM)
    for function in functions:
        folder = app / function.parent.name
        folder.mkdir()
        folder.chmod(0o755)
        _copy(function, folder / "function.json", MODE_OF_FILE)
    close_catch_all(sorted(app.glob("*/function.json")))


def close_catch_all(functions):
    """Constrains each route that matches every path, so that it does not match the paths of invocations.

    For a message or a tick the host posts to /<function> on the program's port. Without the constraint everybody could
    send that request through the route.
    """
    read = {file: json.loads(file.read_bytes()) for file in functions}
    invoked = [file.parent.name for file, function in read.items() if http_trigger(function) is None]
    for file, function in read.items():
        trigger = http_trigger(function)
        catch_all = CATCH_ALL.fullmatch(trigger.get("route", "")) if trigger else None
        if catch_all and invoked:
            # The host ignores the case, and it decodes the path before it compares.
            trigger["route"] = f"{{*{catch_all[1]}:regex(^(?!{'|'.join(invoked)}).*$)}}"
            file.write_text(json.dumps(function, indent=2) + "\n")


def _copy(source, target, mode):
    shutil.copyfile(source, target)
    target.chmod(mode)


def write_zip(app, target, epoch):
    """Zips the files below `app` with their modes, ordered by name, all with the same time."""
    # The format counts in steps of two seconds.
    moment = time.gmtime(max(epoch, EARLIEST) // 2 * 2)[:6]
    names = sorted(path.relative_to(app).as_posix() for path in app.rglob("*") if not path.is_dir())
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as package:
        for name in names:
            file = app / name
            entry = zipfile.ZipInfo(name, moment)
            entry.create_system = MADE_BY_UNIX
            entry.external_attr = (S_IFREG | file.stat().st_mode & 0o777) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            package.writestr(entry, file.read_bytes())


def version_of(root):
    text = (root / "Cargo.toml").read_text()
    found = re.search(r'^version = "([^"]+)"$', text.partition("[package]")[2].partition("\n[")[0], re.MULTILINE)
    if found is None:
        raise CannotPackage(f"{root / 'Cargo.toml'} has no version in [package]")
    return found[1]


def package(root, program, out, epoch):
    """Returns the zip file's path, Summary and digest. A file has that name only if it passed every check."""
    version = version_of(root)
    target = out / f"mcp-scheduler-{version}.zip"
    digest_file = target.with_name(target.name + ".sha256")
    for stale in (target, digest_file):
        stale.unlink(missing_ok=True)
    stage(root, program, out / "app")
    unchecked = out / "unchecked.zip"
    write_zip(out / "app", unchecked, epoch)
    summary = package_check.check(unchecked)
    if summary.version != f"mcp-scheduler {version}":
        raise CannotPackage(f"the program says {summary.version!r}, but Cargo.toml says {version}: build it again")
    digest = hashlib.sha256(unchecked.read_bytes()).hexdigest()
    os.replace(unchecked, target)
    digest_file.write_text(f"{digest}  {target.name}\n")
    return target, summary, digest


def main(arguments):
    here = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("--root", type=Path, default=here)
    parser.add_argument("--out", type=Path, default=here / "target" / "package")
    parser.add_argument("--stage", type=Path)
    options = parser.parse_args(arguments)
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", EARLIEST))
    try:
        if options.stage:
            stage(options.root, options.program, options.stage)
            return 0
        target, summary, digest = package(options.root, options.program, options.out, epoch)
    except BadPackage as bad:
        for problem in bad.problems:
            print(f"scripts/package: {problem}", file=sys.stderr)
        return 1
    except (CannotPackage, OSError) as error:
        print(f"scripts/package: {error}", file=sys.stderr)
        return 1
    print(f"{target}\n{summary}\n  sha256   {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
