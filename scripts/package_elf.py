"""What an x86-64 ELF file needs from the machine it is to start on, read from the file itself.

The layouts are those of the System V ABI (gABI, chapters 4 and 5); symbol versions are those of the
Linux Standard Base, "Symbol Versioning".
"""

import struct
from dataclasses import dataclass

PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
DT_NULL, DT_NEEDED, DT_STRTAB, DT_VERNEED, DT_VERNEEDNUM = 0, 1, 5, 0x6FFFFFFE, 0x6FFFFFFF
EM_X86_64 = 62


class NotAnElf(ValueError):
    """The file is not a program for 64-bit x86 Linux, or is damaged."""


@dataclass(frozen=True)
class Needs:
    """An empty `interpreter` and no libraries: the file is static and needs nothing but a kernel."""

    interpreter: str
    libraries: tuple[str, ...]
    versions: tuple[str, ...]


def read_needs(elf: bytes) -> Needs:
    try:
        return _read(elf)
    except (struct.error, IndexError, ValueError) as error:
        raise NotAnElf(f"not a program for 64-bit x86 Linux: {error}") from error


def _read(elf: bytes) -> Needs:
    if elf[:6] != b"\x7fELF\x02\x01":
        raise ValueError("it does not begin as a 64-bit little-endian ELF file")
    machine, = struct.unpack_from("<H", elf, 18)
    if machine != EM_X86_64:
        raise ValueError(f"it is for machine {machine}, not {EM_X86_64}")
    segments = _segments(elf)
    interpreter, dynamic = "", []
    for kind, offset, _, size in segments:
        if kind == PT_INTERP:
            interpreter = elf[offset : offset + size].rstrip(b"\0").decode()
        elif kind == PT_DYNAMIC:
            dynamic = _dynamic(elf, offset, size)
    tags = dict(dynamic)
    if DT_STRTAB not in tags:
        return Needs(interpreter, (), ())
    strings = _file_offset(segments, tags[DT_STRTAB])
    libraries = tuple(_string(elf, strings + value) for tag, value in dynamic if tag == DT_NEEDED)
    versions = set()
    if DT_VERNEED in tags:
        versions = _versions(elf, _file_offset(segments, tags[DT_VERNEED]), tags.get(DT_VERNEEDNUM, 0), strings)
    return Needs(interpreter, libraries, tuple(sorted(versions)))


def _segments(elf):
    """(type, file offset, address, size in the file) of each program header."""
    table, = struct.unpack_from("<Q", elf, 32)
    entry_size, count = struct.unpack_from("<HH", elf, 54)
    headers = (struct.unpack_from("<IIQQQQ", elf, table + i * entry_size) for i in range(count))
    return [(kind, offset, address, size) for kind, _, offset, address, _, size in headers]


def _dynamic(elf, offset, size):
    entries = []
    for at in range(offset, offset + size, 16):
        tag, value = struct.unpack_from("<qQ", elf, at)
        if tag == DT_NULL:
            break
        entries.append((tag, value))
    return entries


def _versions(elf, need, count, strings):
    """Names of all versions in `count` Verneed records, each with its chain of Vernaux."""
    names = set()
    for _ in range(count):
        _, auxiliaries, _, first, following = struct.unpack_from("<HHIII", elf, need)
        at = need + first
        for _ in range(auxiliaries):
            _, _, _, name, next_one = struct.unpack_from("<IHHII", elf, at)
            names.add(_string(elf, strings + name))
            at += next_one
        need += following
    return names


def _file_offset(segments, address):
    for kind, offset, begin, size in segments:
        if kind == PT_LOAD and begin <= address < begin + size:
            return address - begin + offset
    raise ValueError(f"address {address:#x} is in no segment")


def _string(elf, offset):
    return elf[offset : elf.index(b"\0", offset)].decode()
