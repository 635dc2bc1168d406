"""A program of a few hundred bytes that prints a message and claims to need the given libraries and versions.

Real programs have the claims of the machine that built them; the tests need others, such as a glibc of the future.
"""

import struct

BASE = 0x400000
HEADER, SEGMENT, SECTION = 64, 56, 64


def tiny_elf(
    message="mcp-scheduler 1.2.3\n",
    libraries=("libc.so.6",),
    versions=("GLIBC_2.17",),
    interpreter="",
    status=0,
    machine=62,
):
    """Without an interpreter it starts with any claims: only a loader reads them."""
    text = message.encode()
    segments = 3 if interpreter else 2
    at = HEADER + segments * SEGMENT
    code = _code(len(text), status)
    strings = bytearray(b"\0")

    def string(value):
        strings.extend(value.encode() + b"\0")
        return len(strings) - 1 - len(value)

    needed = [string(library) for library in libraries]
    auxiliaries = [string(version) for version in versions]
    interpreter_name = string(interpreter)
    dynamic_name = string(".dynamic")
    message_at = at + len(code)
    strings_at = message_at + len(text)
    interpreter_at = strings_at + interpreter_name
    need_at = strings_at + len(strings)
    # One Verneed record with a Vernaux for each version.
    need = struct.pack("<HHIII", 1, len(auxiliaries), needed[0] if needed else 0, 16, 0)
    for index, name in enumerate(auxiliaries):
        need += struct.pack("<IHHII", 0, 0, index + 2, name, 16 if index + 1 < len(auxiliaries) else 0)
    dynamic_at = need_at + len(need)
    tags = [(1, name) for name in needed]
    tags += [(5, BASE + strings_at), (10, len(strings))]
    tags += [(0x6FFFFFFE, BASE + need_at), (0x6FFFFFFF, 1)] if versions else []
    tags += [(0, 0)]
    dynamic = b"".join(struct.pack("<qQ", *tag) for tag in tags)
    # The loader needs no sections, but readelf finds the versions by them.
    sections_at = dynamic_at + len(dynamic)
    sections = bytes(SECTION) + _section(0, 3, strings_at, len(strings))
    sections += _section(0, 0x6FFFFFFE, need_at, len(need)) + _section(dynamic_name, 6, dynamic_at, len(dynamic))
    size = sections_at + len(sections)
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQI", 2, machine, 1, BASE + at, HEADER, sections_at, 0)
    header += struct.pack("<HHHHHH", HEADER, SEGMENT, segments, SECTION, 4, 1)
    header += _segment(1, 5, 0, size) + _segment(2, 4, dynamic_at, len(dynamic))
    if interpreter:
        header += _segment(3, 4, interpreter_at, len(interpreter) + 1)
    return header + code + text + bytes(strings) + need + dynamic + sections


def _segment(kind, access, at, size):
    return struct.pack("<IIQQQQQQ", kind, access, at, BASE + at, BASE + at, size, size, 0x1000 if kind == 1 else 1)


def _section(name, kind, at, size):
    """It links to section 1, which has the strings, and says that it has one record: the version section has one."""
    return struct.pack("<IIQQQQIIQQ", name, kind, 2, BASE + at, at, size, 1, 1, 1, 0)


def _code(length, status):
    """write(1, message, length); exit(status). The message follows the code."""
    end = b"\xb8\x3c\0\0\0" + b"\xbf" + struct.pack("<I", status) + b"\x0f\x05"
    load_length = b"\xba" + struct.pack("<I", length) + b"\x0f\x05"
    distance = struct.pack("<i", len(load_length) + len(end))
    return b"\xb8\x01\0\0\0" + b"\xbf\x01\0\0\0" + b"\x48\x8d\x35" + distance + load_length + end
