"""`ascertain trial --command` with a trainer that nobody here wrote: transformers' own, killed, resumed and compared.

Needs a Python with torch and transformers (ASCERTAIN_PYTHON, and PYTHONPATH where they lie apart); says so where there is
none. Device and reference are both this machine's CPU: the name npu:0 stands for the chip, and the script trains where it
can, so what must come out is known: the same.
"""

import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "blackbox"))
from harness import Case, run, verdict_of  # noqa: E402

PYTHON = os.environ.get("ASCERTAIN_PYTHON", sys.executable)
SCRIPT = pathlib.Path(__file__).with_name("transformers_train.py")


def lacks():
    found = subprocess.run([PYTHON, "-c", "import torch, transformers, accelerate"], capture_output=True, text=True)
    return found.stderr.strip().splitlines()[-1] if found.returncode else ""


class TransformersTrainer(Case):
    def setUp(self):
        missing = lacks()
        if missing:
            self.skipTest(f"{PYTHON} has no transformers Trainer: {missing}")
        super().setUp()
        self.out = self.folder / "out"

    def trial(self, *arguments, device_variables=""):
        # The command runs on the CPU whatever the device is called.
        command = f"env ASCERTAIN_DEVICE=cpu OMP_NUM_THREADS=1 {{}} {PYTHON} {SCRIPT}"
        return run("trial", "--device", "npu:0", "--out", self.out, "--metrics", "metrics.jsonl", "--silence", "10m",
                   "--command", command.format(device_variables), "--reference-command", command.format(""),
                   *arguments, timeout=1800)

    def checks(self):
        return {check["id"]: check for check in verdict_of(self.out)["checks"]}

    def test_it_is_killed_resumed_and_found_equal(self):
        result = self.trial("--replicas", "4")
        checks = self.checks()
        self.assertEqual({name: check["status"] for name, check in checks.items()},
                         dict.fromkeys(checks, "PASSED"), result.stdout + result.stderr)
        resumed = {m["metric"]: m["value"] for m in checks["trainer.resumes"]["observation"]}
        self.assertGreaterEqual(resumed["killed_at"], 30)
        self.assertEqual(resumed["resumed_from"] % 10, 1)  # it saves every ten steps

    def test_gradients_that_are_scaled_are_seen_at_once(self):
        # The optimizer is blind to it and the loss hardly moves; the gradient norm tells.
        result = self.trial("--replicas", "4", "--skip", "trainer.resumes", device_variables="GRADIENT_SCALE=1.05 STEPS=30")
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        self.assertEqual(self.checks()["trainer.equivalence"]["status"], "FAILED")


if __name__ == "__main__":
    unittest.main()
