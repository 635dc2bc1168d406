"""A program of a few hundred bytes that prints its message, and claims to need what it is told to claim."""

import struct

BASE = 0x400000
HEADER, SEGMENT = 64, 56


def tiny_elf(
    message="mcp-scheduler 1.2.3\n",
    libraries=("libc.so.6",),
    versions=("GLIBC_2.17",),
    interpreter="",
    status=0,
    machine=62,
):
    """Without an interpreter nothing reads the claims, so it starts whatever they are."""
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
    tags += [(5, BASE + strings_at), (0x6FFFFFFE, BASE + need_at), (0x6FFFFFFF, 1), (0, 0)]
    dynamic = b"".join(struct.pack("<qQ", *tag) for tag in tags)
    size = dynamic_at + len(dynamic)
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, BASE + at, HEADER, 0, 0, HEADER, SEGMENT, segments, 0, 0, 0)
    header += _segment(1, 5, 0, size) + _segment(2, 4, dynamic_at, len(dynamic))
    if interpreter:
        header += _segment(3, 4, interpreter_at, len(interpreter) + 1)
    return header + code + text + bytes(strings) + need + dynamic


def _segment(kind, access, at, size):
    return struct.pack("<IIQQQQQQ", kind, access, at, BASE + at, BASE + at, size, size, 0x1000 if kind == 1 else 1)


def _code(length, status):
    """write(1, message, length); exit(status). The message follows the code."""
    end = b"\xb8\x3c\0\0\0" + b"\xbf" + struct.pack("<I", status) + b"\x0f\x05"
    load_length = b"\xba" + struct.pack("<I", length) + b"\x0f\x05"
    distance = struct.pack("<i", len(load_length) + len(end))
    return b"\xb8\x01\0\0\0" + b"\xbf\x01\0\0\0" + b"\x48\x8d\x35" + distance + load_length + end
