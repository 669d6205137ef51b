"""A training step of Hugging Face's transformers, recorded and replayed."""

import json
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "blackbox"))
import module_test  # noqa: E402
import record_test  # noqa: E402

SKIPPED = 77  # what CTest shows as a skipped test


class Transformers(record_test.Recorder):
    trainer = "transformers"

    # The rest is the same whoever's trainer it is.
    test_what_cannot_be_recorded_is_said_and_the_training_goes_on = None
    test_a_file_cut_off_or_of_another_torch_is_named = None


class TransformersModule(module_test.Case):
    """A model of transformers as a module, eager and compiled."""

    def test_a_llama_is_right_eager_and_compiled(self):
        result = module_test.Module.ops(self, "transformers_layer")
        document = json.loads(result.stdout)
        whole = {check["id"]: check["status"] for check in document["of_device"]}
        self.assertEqual(whole["module.eager"], "PASSED", result.stdout + result.stderr)
        self.assertEqual(whole["module.compiled"], "PASSED", result.stdout + result.stderr)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)


def missing():
    """Why transformers cannot be used with this torch; empty when it can."""
    python = os.environ.get("ASCERTAIN_PYTHON", "")
    if not python:
        return "no Python beside this torch"
    found = subprocess.run([python, "-c", "import transformers"], capture_output=True, text=True)
    return "" if found.returncode == 0 else found.stderr.strip().splitlines()[-1]


if __name__ == "__main__":
    if reason := missing():
        print(f"skipped: {reason}")
        sys.exit(SKIPPED)
    del record_test.Recorder
    unittest.main(verbosity=1)
