"""The content of the zip file that scripts/package makes, and the packages that it refuses.

Nothing is compiled: a program of a few hundred bytes stands in for the real one.
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(Path(__file__).parent)]

import package  # noqa: E402
import package_check  # noqa: E402
from package_needs import Needs, NotAProgram, read_needs  # noqa: E402
from tiny_elf import tiny_elf  # noqa: E402

HOST = json.dumps({"version": "2.0", "customHandler": {"description": {"defaultExecutablePath": "handler"}}}).encode()
FILE, PROGRAM = 0o100644, 0o100755
EPOCH = 1_700_000_000


def good():
    """The entries of an accepted package: name → (content, mode)."""
    return {
        "handler": (tiny_elf(), PROGRAM),
        "health/function.json": (b'{"bindings": []}', FILE),
        "host.json": (HOST, FILE),
    }


def write(path, entries, system=3, times=()):
    with zipfile.ZipFile(path, "w") as made:
        for name, (content, mode) in entries.items():
            entry = zipfile.ZipInfo(name, dict(times).get(name, (2026, 1, 1, 0, 0, 0)))
            entry.create_system = system
            entry.external_attr = mode << 16
            made.writestr(entry, content)
    return path


class InADirectory(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.dir = Path(directory.name)


class ThePackageThatIsMade(InADirectory):
    def setUp(self):
        super().setUp()
        self.root = self.checkout("here")

    def checkout(self, name):
        root = self.dir / name
        for function in ("health", "deliverDueConversations"):
            folder = root / "functions" / function
            folder.mkdir(parents=True)
            (folder / "function.json").write_text('{"bindings": []}')
        (root / "host.json").write_bytes(HOST)
        (root / "local.settings.json").write_text('{"Values": {"key": "secret"}}')
        (root / "Cargo.toml").write_text('[package]\nname = "mcp-scheduler"\nversion = "1.2.3"\n')
        (root / "program").write_bytes(tiny_elf())
        return root

    def add(self, name, *bindings):
        folder = self.root / "functions" / name
        folder.mkdir()
        (folder / "function.json").write_text(json.dumps({"bindings": bindings}))

    def route(self, name):
        return json.loads((self.root / "out" / "app" / name / "function.json").read_text())["bindings"][0]["route"]

    def make(self, root=None):
        root = root or self.root
        return package.package(root, root / "program", root / "out", EPOCH)

    def test_has_the_program_under_its_name_and_the_functions_beside_host_json(self):
        target, summary, _ = self.make()
        self.assertEqual(target.name, "mcp-scheduler-1.2.3.zip")
        with zipfile.ZipFile(target) as made:
            modes = {entry.filename: oct(entry.external_attr >> 16) for entry in made.infolist()}
        self.assertEqual(
            modes,
            {
                "deliverDueConversations/function.json": "0o100644",
                "handler": "0o100755",
                "health/function.json": "0o100644",
                "host.json": "0o100644",
            },
        )
        self.assertEqual((summary.functions, summary.glibc, summary.version), (2, "2.17", "mcp-scheduler 1.2.3"))

    def test_has_the_same_bytes_from_another_checkout_at_another_time_under_another_umask(self):
        first, _, _ = self.make()
        other = self.checkout("elsewhere")
        for path in other.rglob("*"):
            os.utime(path, (1, 1))
        before = os.umask(0o077)
        try:
            second, _, _ = self.make(other)
        finally:
            os.umask(before)
        self.assertEqual(first.read_bytes(), second.read_bytes())

    def test_has_the_time_of_the_commit(self):
        target, _, _ = self.make()
        with zipfile.ZipFile(target) as made:
            self.assertEqual({entry.date_time for entry in made.infolist()}, {(2023, 11, 14, 22, 13, 20)})

    def test_has_a_digest_that_sha256sum_reads(self):
        target, _, digest = self.make()
        self.assertEqual((target.parent / (target.name + ".sha256")).read_text(), f"{digest}  {target.name}\n")

    def test_leaves_nothing_under_its_name_when_a_check_fails(self):
        target, _, _ = self.make()
        (self.root / "program").write_bytes(tiny_elf(versions=["GLIBC_2.34"]))
        with self.assertRaises(package_check.BadPackage):
            self.make()
        self.assertFalse(target.exists())
        self.assertFalse(target.with_name(target.name + ".sha256").exists())

    def test_keeps_nothing_of_an_earlier_one(self):
        self.make()
        (self.root / "functions" / "health" / "function.json").unlink()
        target, summary, _ = self.make()
        self.assertEqual(summary.functions, 1)

    def test_closes_a_route_for_every_path_to_the_functions_that_only_the_host_calls(self):
        self.add("zzFallback", {"type": "httpTrigger", "route": "{*rest}"})
        self.add("mcp", {"type": "HttpTrigger", "route": "mcp"})
        self.make()
        self.assertEqual(self.route("zzFallback"), "{*rest:regex(^(?!deliverDueConversations|health).*$)}")
        self.assertEqual(self.route("mcp"), "mcp")
        # The constraint follows the names.
        self.add("sweep-2", {"type": "timerTrigger"})
        self.make()
        self.assertEqual(self.route("zzFallback"), "{*rest:regex(^(?!deliverDueConversations|health|sweep-2).*$)}")

    def test_is_refused_when_the_program_is_of_another_version(self):
        (self.root / "program").write_bytes(tiny_elf("mcp-scheduler 1.2.2\n"))
        with self.assertRaisesRegex(package.CannotPackage, "build it again"):
            self.make()

    def test_needs_a_host_json_and_says_so(self):
        (self.root / "host.json").unlink()
        with self.assertRaisesRegex(package.CannotPackage, "host.json is missing"):
            self.make()


class APackageThatIsChecked(InADirectory):
    def problems(self, entries, **options):
        path = write(self.dir / "package.zip", entries, **options)
        try:
            package_check.check(path)
            return []
        except package_check.BadPackage as bad:
            return bad.problems

    def refused(self, entries, *words, **options):
        problems = "\n".join(self.problems(entries, **options))
        for word in words:
            self.assertIn(word, problems)

    def with_program(self, **claims):
        return good() | {"handler": (tiny_elf(**claims), PROGRAM)}

    def test_is_accepted_when_nothing_is_wrong(self):
        self.assertEqual(self.problems(good()), [])

    def test_must_let_the_program_be_executed(self):
        self.refused(good() | {"handler": (tiny_elf(), FILE)}, "handler has mode 0644, not 0755")

    def test_must_let_everyone_read_the_rest(self):
        self.refused(good() | {"host.json": (HOST, 0o100600)}, "host.json has mode 0600, not 0644")

    def test_must_be_made_by_unix_so_that_modes_are_kept(self):
        self.refused(good(), "handler is not marked as made by Unix", system=0)

    def test_must_have_no_links(self):
        self.refused(good() | {"host.json": (HOST, 0o120644)}, "host.json is not a plain file")

    def test_must_have_its_functions_directly_below_the_root(self):
        nested = good()
        nested["functions/health/function.json"] = nested.pop("health/function.json")
        entries = dict(sorted(nested.items()))
        self.refused(entries, "the host does not find functions/health/function.json", "never starts")

    def test_must_have_names_that_the_host_accepts(self):
        for name in ("1st", "host", "with.dot"):
            with self.subTest(name):
                entries = dict(sorted((good() | {f"{name}/function.json": (b"{}", FILE)}).items()))
                self.refused(entries, f"the host does not find {name}/function.json")

    def test_must_have_the_program_under_the_name_in_host_json(self):
        entries = good()
        entries["another"] = entries.pop("handler")
        self.refused(dict(sorted(entries.items())), "handler, the defaultExecutablePath in host.json, is not in")

    def test_must_name_the_program_without_a_path(self):
        host = HOST.replace(b'"handler"', b'"./handler"')
        self.refused(good() | {"host.json": (host, FILE)}, "it must be the bare name")

    def test_must_have_a_host_json_at_the_root(self):
        entries = {f"app/{name}": value for name, value in good().items()}
        self.refused(entries, "host.json at the root")

    def test_must_not_carry_local_settings(self):
        entries = good() | {"local.settings.json": (b"{}", FILE)}
        self.refused(entries, "local.settings.json is for a developer's machine")

    def test_must_not_carry_anything_else(self):
        self.refused(good() | {"notes.txt": (b"", FILE)}, "notes.txt is not part of the app")

    def test_must_have_functions_that_are_json(self):
        self.refused(good() | {"health/function.json": (b"{", FILE)}, "health/function.json is not JSON")

    def routed(self, route):
        """The problems of a package with this route beside a queue's function `deliver`."""
        http = json.dumps({"bindings": [{"type": "httpTrigger", "route": route}]}).encode()
        queue = b'{"bindings": [{"type": "queueTrigger"}]}'
        entries = {"deliver/function.json": (queue, FILE), "zz/function.json": (http, FILE)}
        return self.problems(dict(sorted((good() | entries).items())))

    def test_must_have_no_route_to_what_only_the_host_calls(self):
        for route in (
            "deliver",
            "DELIVER",
            "{*rest}",
            "{**rest}",
            "{any}",
            "{any?}",
            "{*rest:regex(^(?!sweep|health).*$)}",
            "{*rest:regex(.*)}",
            "{*rest:alpha}",
        ):
            with self.subTest(route):
                self.assertIn(f"the route {route} of zz lets everybody call deliver", "\n".join(self.routed(route)))
        for route in ("{*rest:regex(^(?!Deliver|health).*$)}", "api/{*rest}", "delivery", "api/deliver"):
            with self.subTest(route):
                self.assertEqual(self.routed(route), [])

    def test_must_be_in_an_order_that_is_always_the_same(self):
        self.refused(dict(reversed(good().items())), "not sorted")

    def test_must_have_one_time_for_all_entries(self):
        self.refused(good(), "differ in their time", times={"host.json": (2026, 1, 1, 0, 0, 2)})

    def test_must_be_small(self):
        large = tiny_elf() + bytes(package_check.LARGEST_ZIP)
        self.refused(good() | {"handler": (large, PROGRAM)}, "at most 8000000 are allowed")

    def test_must_start_on_an_image_with_glibc_2_31(self):
        self.assertEqual(self.problems(self.with_program(versions=["GLIBC_2.2.5", "GLIBC_2.31"])), [])
        # Compared as text, 2.4 would be newer than 2.31.
        self.assertEqual(self.problems(self.with_program(versions=["GLIBC_2.4", "GLIBC_2.9"])), [])
        newer = self.with_program(versions=["GLIBC_2.17", "GLIBC_2.32"])
        self.refused(newer, "needs glibc 2.32; the oldest image has 2.31")

    def test_may_have_a_static_program(self):
        self.assertEqual(self.problems(self.with_program(libraries=[], versions=[])), [])

    def test_must_not_ask_for_what_has_no_number(self):
        self.refused(self.with_program(versions=["GLIBC_ABI_DT_RELR"]), "needs GLIBC_ABI_DT_RELR")

    def test_must_need_no_library_but_glibc(self):
        self.refused(self.with_program(libraries=["libc.so.6", "libssl.so.3"]), "needs libssl.so.3")

    def test_must_be_loaded_by_glibc(self):
        self.refused(self.with_program(interpreter="/lib/ld-musl-x86_64.so.1"), "needs the loader /lib/ld-musl-x86_64.so.1")

    def test_must_be_a_program_for_this_kind_of_machine(self):
        self.refused(self.with_program(machine=183), "it is for ELF64 AArch64")
        self.refused(good() | {"handler": (b"#!/bin/sh\n", PROGRAM)}, "not a program for 64-bit x86 Linux")

    def test_must_have_a_program_that_starts(self):
        self.refused(self.with_program(status=3), "ended with 3 on --version")

    def test_reports_everything_that_is_wrong_at_once(self):
        entries = self.with_program(versions=["GLIBC_2.40"]) | {"notes.txt": (b"", FILE)}
        self.refused(entries, "notes.txt", "glibc 2.40")

    def test_must_be_a_zip_file(self):
        (self.dir / "package.zip").write_bytes(b"hello")
        with self.assertRaisesRegex(package_check.BadPackage, "cannot be read as a zip file"):
            package_check.check(self.dir / "package.zip")


class TheNeedsOfAProgram(unittest.TestCase):
    def test_are_read_from_the_file(self):
        program = tiny_elf(libraries=["libc.so.6", "libm.so.6"], versions=["GLIBC_2.17", "GLIBC_2.2.5"])
        self.assertEqual(read_needs(program), Needs("", ("libc.so.6", "libm.so.6"), ("GLIBC_2.17", "GLIBC_2.2.5")))

    def test_are_those_of_a_real_one(self):
        needs = read_needs(Path(sys.executable).resolve().read_bytes())
        self.assertEqual(needs.interpreter, package_check.INTERPRETER)
        self.assertIn("libc.so.6", needs.libraries)
        self.assertIn("GLIBC_2.2.5", needs.versions)

    def test_are_refused_wherever_the_file_is_cut_off(self):
        program = tiny_elf()
        for length in range(0, len(program), 16):
            with self.subTest(length), self.assertRaises(NotAProgram):
                read_needs(program[:length])

    def test_are_refused_when_readelf_does_not_find_the_versions(self):
        program = bytearray(tiny_elf())
        # No section headers: the loader does not need them.
        program[40:48] = bytes(8)
        program[58:64] = bytes(6)
        with self.assertRaisesRegex(NotAProgram, "versions are missing"):
            read_needs(bytes(program))

    def test_are_read_on_a_machine_with_another_language(self):
        with unittest.mock.patch.dict(os.environ, {"LANGUAGE": "de", "LC_ALL": "de_DE.UTF-8"}):
            self.assertEqual(read_needs(tiny_elf()).libraries, ("libc.so.6",))


class ThisRepository(InADirectory):
    def test_has_what_the_package_is_made_of(self):
        version = package.version_of(ROOT)
        program = self.dir / "program"
        program.write_bytes(tiny_elf(f"mcp-scheduler {version}\n"))
        _, summary, _ = package.package(ROOT, program, self.dir / "out", EPOCH)
        self.assertEqual(summary.functions, len(list((ROOT / "functions").iterdir())))


class TheCommand(InADirectory):
    def check(self, path):
        command = [sys.executable, "-B", ROOT / "scripts" / "package_check.py", path]
        return subprocess.run(command, capture_output=True, text=True)

    def test_sums_up_what_it_accepted(self):
        run = self.check(write(self.dir / "package.zip", good()))
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        self.assertIn("glibc    2.17 or newer (at most 2.31 allowed)", run.stdout)

    def test_reports_problems_and_fails(self):
        run = self.check(write(self.dir / "package.zip", {}))
        self.assertEqual(run.returncode, 1)
        self.assertIn("host.json at the root", run.stderr)


if __name__ == "__main__":
    unittest.main()
