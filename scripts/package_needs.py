"""Reads the needs of a program with readelf: its loader, its libraries and the versions of their symbols."""

import os
import re
import subprocess
import tempfile
from dataclasses import dataclass

READELF = ["readelf", "--wide", "--file-header", "--program-headers", "--dynamic", "--version-info"]
KIND = ("ELF64", "Advanced Micro Devices X86-64")


class NotAProgram(ValueError):
    """The file is not a program for 64-bit x86 Linux, or it is damaged."""


@dataclass(frozen=True)
class Needs:
    """A static program has an empty `interpreter` and no libraries: it needs nothing but a kernel."""

    interpreter: str
    libraries: tuple[str, ...]
    versions: tuple[str, ...]


def read_needs(program: bytes) -> Needs:
    with tempfile.NamedTemporaryFile() as file:
        file.write(program)
        file.flush()
        # readelf translates its output on machines with another language.
        environment = os.environ | {"LC_ALL": "C"}
        run = subprocess.run([*READELF, file.name], env=environment, capture_output=True, text=True, errors="replace")
    # readelf ends with 0 for a file that was cut off.
    if run.returncode != 0 or "readelf: Error:" in run.stderr:
        raise NotAProgram(f"not a program for 64-bit x86 Linux: {run.stderr.strip()}")
    return _parse(run.stdout)


def _parse(shown):
    def all_of(pattern):
        return re.findall(pattern, shown, re.MULTILINE)

    kind = tuple(all_of(r"^ +(?:Class|Machine): +(.+)$"))
    if kind != KIND:
        raise NotAProgram(f"not a program for 64-bit x86 Linux: it is for {' '.join(kind)}")
    interpreter = "".join(all_of(r"\[Requesting program interpreter: (.+)\]$"))
    libraries = all_of(r"\(NEEDED\) +Shared library: \[(.+)\]$")
    versions = all_of(r"^ +0x[0-9a-f]+: +Name: (\S+) +Flags: ")
    # Without section headers readelf names no versions, but the loader still asks for them.
    if len(libraries) < shown.count("(NEEDED)") or ("(VERNEED)" in shown and not versions):
        raise NotAProgram("not a program that readelf can read: the names of its libraries or versions are missing")
    return Needs(interpreter, tuple(libraries), tuple(sorted(set(versions))))
