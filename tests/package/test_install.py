"""The container image and the unit of systemd (packaging/)."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ["PROGRAM"])
USER = 65532


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Container(unittest.TestCase):
    def test_the_container_file_has_no_finding(self):
        lint = run(ROOT / "target/venv/bin/hadolint", "--no-color", ROOT / "packaging/Containerfile")
        self.assertEqual((lint.returncode, lint.stdout), (0, ""))

    def test_the_service_runs_in_the_tree_of_the_image_as_its_user(self):
        with tempfile.TemporaryDirectory() as folder:
            made = run(ROOT / "scripts/container", PROGRAM, folder + "/container")
            self.assertEqual(made.returncode, 0, made.stderr)
            tree = Path(folder, "container/rootfs")
            inside = self.inside(tree)
            self.assertTrue(run(*inside, "--version").stdout.startswith("mcp-scheduler "))
            port = free_port()
            settings = {"HOST": "127.0.0.1", "PORT": str(port), "SCHEDULER_DATA_DIR": "/data"}
            service = subprocess.Popen(inside, env=settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            try:
                self.assertEqual(self.status(service, f"http://127.0.0.1:{port}/health/ready"), 200)
            finally:
                service.terminate()
                output, _ = service.communicate(timeout=30)
            self.assertEqual(service.returncode, 0, output)
            self.assertIn("credentials.json", os.listdir(tree / "data"))

    def inside(self, tree):
        """The command that runs the program in its tree: as the user of the image if that can be had, else as this one."""
        chroot = shutil.which("chroot")
        if os.geteuid() != 0:
            return [shutil.which("unshare"), "--map-root-user", chroot, tree, "/mcp-scheduler"]
        os.chown(tree / "data", USER, USER)
        return [chroot, f"--userspec={USER}:{USER}", tree, "/mcp-scheduler"]

    def status(self, service, url):
        deadline = time.monotonic() + 60
        while service.poll() is None and time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(url, timeout=10) as response:
                    return response.status
            except urllib.error.HTTPError as error:
                return error.code
            except OSError:
                time.sleep(0.05)
        self.fail("the service does not answer")


class Unit(unittest.TestCase):
    def analyze(self, *arguments):
        """systemd looks for the program of the unit, so a program that is there takes its place."""
        with tempfile.TemporaryDirectory() as folder:
            unit = Path(folder, "mcp-scheduler.service")
            text = (ROOT / "packaging/mcp-scheduler.service").read_text()
            unit.write_text(text.replace("/usr/local/bin/mcp-scheduler", shutil.which("true")))
            return run("systemd-analyze", *arguments, unit)

    def test_systemd_accepts_the_unit(self):
        verified = self.analyze("verify", "--man=no")
        self.assertEqual((verified.returncode, verified.stderr), (0, ""))

    def test_the_unit_is_a_sandbox(self):
        """systemd rates the exposure of a unit from 0 to 100; most units without a sandbox have 96."""
        rated = self.analyze("security", "--offline=true", "--threshold=15", "--no-pager")
        self.assertEqual(rated.returncode, 0, rated.stdout)


if __name__ == "__main__":
    unittest.main()
