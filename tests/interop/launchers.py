"""Helpers for tests that start deploy/ with the real launchers."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ["ASCERTAIN_SOURCE"])
ASCERTAIN = os.environ["ASCERTAIN"]
DEPLOY = SOURCE / "deploy"
SKIPPED = 77  # SKIP_RETURN_CODE

# One matrix product: what these tests are about is how the nodes come together.
FILL = {"family": "normal", "mean": 0.0, "std": 1.0, "low": -6.0, "high": 6.0, "share": 1.0}


def tensor(shape, storage):
    return {"tensor": {"dtype": "bf16", "shape": shape, "strides": [shape[1], 1], "storage_offset": 0,
                       "storage": storage, "fill": FILL}}


CASE = {"schema": "ascertain.case/1", "operator": "aten::mm", "overload": "", "phase": "forward", "module": "",
        "count": 1, "arguments": [tensor([64, 256], 0), tensor([256, 96], 1)], "cuts": [], "writes": []}


def require(*programs):
    """Ends the test as skipped, and says so, when a program is missing."""
    missing = [program for program in programs if shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin") is None]
    if missing:
        print("SKIPPED: not installed here:", ", ".join(missing))
        sys.exit(SKIPPED)


class Launched(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ascertain-interop-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        text = (SOURCE / "data/campaigns/first-look.toml").read_text()
        text = text.replace('"../models/deepseek-r1.json"', json.dumps(str(SOURCE / "data/models/qwen3-8b.json")))
        (self.folder / "campaign.toml").write_text(text)
        (self.folder / "cases.json").write_text(json.dumps([CASE]))
        self.environment = {**os.environ, "ASCERTAIN": ASCERTAIN, "ASCERTAIN_HOME": str(SOURCE), "NO_COLOR": "1",
                            "ASCERTAIN_SHARED": str(self.folder), "ASCERTAIN_AGENT": "--device simulated:0"}

    def command(self):
        """An `ops` command that takes seconds, for node.sh."""
        return ["ops", str(self.folder / "campaign.toml"), "--cases", str(self.folder / "cases.json"), "--out",
                str(self.folder / "run")]

    def run_here(self, *words, timeout=300):
        return subprocess.run([str(word) for word in words], cwd=self.folder, env=self.environment, text=True,
                              capture_output=True, timeout=timeout)

    def assert_passed_on(self, result, nodes, code=0):
        """The matrix product passed on the simulated chip of every node."""
        said = result.stdout + result.stderr
        self.assertEqual(result.returncode, code, said)
        verdict = json.loads((self.folder / "run/verdict.json").read_text())
        self.assertEqual(sorted(verdict["scope"]["devices"]), [f"{node}/simulated:0" for node in sorted(nodes)], said)
        for node in nodes:
            statuses = {check["status"] for check in verdict["checks"] if check["device"] == f"{node}/simulated:0"}
            self.assertIn("PASSED", statuses, said)
        self.assertEqual(list(self.folder.glob(".ascertain-*.key")), [], "the key was left behind")
