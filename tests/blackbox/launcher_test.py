"""The launcher on machines where something is missing: it says what, and what to do."""

import os
import shutil
import subprocess
import unittest

from harness import SOURCE, Case


class Launcher(Case):
    def setUp(self):
        super().setUp()
        self.home = self.folder / "project"
        (self.home / "tools").mkdir(parents=True)
        for name in ("ascertain", "test", "tools/setup.sh"):
            shutil.copy(SOURCE / name, self.home / name)
        (self.home / "src").mkdir()
        self.tools = self.folder / "bin"
        self.tools.mkdir()

    def pretend(self, name, script):
        path = self.tools / name
        path.write_text("#!/bin/sh\n" + script + "\n")
        path.chmod(0o755)

    def start(self, *arguments, **environment):
        return subprocess.run([str(self.home / "ascertain"), *arguments], text=True, capture_output=True, timeout=60,
                              env={**os.environ, "PATH": f"{self.tools}:{os.environ['PATH']}", **environment})

    def all_installed(self):
        self.pretend("dpkg-query", "printf installed")

    def test_without_root_it_names_the_packages_and_the_command(self):
        self.pretend("dpkg-query", "exit 1")
        self.pretend("id", "echo 1000")
        result = self.start("--version")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("sudo apt-get install", result.stderr)
        self.assertIn("cmake", result.stderr)

    def test_without_network_it_says_so_and_where_the_log_is(self):
        self.pretend("dpkg-query", "exit 1")
        self.pretend("id", "echo 0")
        self.pretend("apt-get", "echo 'Could not resolve host' >&2; exit 100")
        result = self.start("--version")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("is the network there", result.stderr)
        self.assertIn("setup.log", result.stderr)

    def test_a_torch_dir_without_torch_is_refused(self):
        self.all_installed()
        result = self.start("--version", TORCH_DIR=str(self.folder))
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("libtorch_cpu.so", result.stderr)

    def test_no_torch_wheel_says_what_to_set(self):
        self.all_installed()
        self.pretend("python3", "exit 1")
        result = self.start("--version", TORCH_DIR="")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("TORCH_DIR", result.stderr)

    def test_too_little_disk_is_told_before_anything_is_fetched(self):
        self.all_installed()
        self.pretend("python3", "exit 1")
        self.pretend("df", "echo Filesystem; echo '/dev/x 1000 990 10 99% /'")
        result = self.start("--version", TORCH_DIR="")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("10 MB of disk free", result.stderr)

    def test_the_test_command_refuses_unknown_options(self):
        result = subprocess.run([str(self.home / "test"), "--fast"], text=True, capture_output=True, timeout=60)
        self.assertEqual(result.returncode, 64)
        self.assertIn("--only NAME", result.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=1)
