"""Trained here, served there: what the CPU trained passes every gate of another device, and a planted defect of its serving
side, each from the catalogue, is NOT QUALIFIED for what it does to what is written."""

import re
import unittest

from harness import SOURCE, Case, run, verdict_of

GATES = {"handoff.fp32", "handoff.precision", "handoff.rollout_fp32", "handoff.rollout"}

# id of the catalogue: what goes wrong between the model and the text
DEFECTS = {
    "ASC-083": "old weights after an update",
    "ASC-086": "a cache one position short",
    "ASC-092": "rows of query, key and value permuted",
    "RL-001": "rare tokens apart",
    "RL-003": "another order of reduction across nodes",
    "RL-004": "logits rounded to bf16",
    "RL-008": "log-softmax in bf16",
    "RL-009": "log-probabilities clamped",
}


def defect_file(name):
    """The catalogue's own text of one defect, as a file of its own."""
    for path in sorted((SOURCE / "data/defects").glob("*.toml")):
        for part in re.split(r"(?m)^\[\[defect\]\]$", path.read_text())[1:]:
            if f'id = "{name}"' in part:
                return 'schema = "ascertain.defect/1"\n\n[[defect]]\n' + part
    raise AssertionError(f"the catalogue has no {name}")


class Story(Case):
    def setUp(self):
        super().setUp()
        self.model = self.folder / "model"
        result = run("trial", SOURCE / "data/campaigns/r1-story.toml", "--device", "cpu", "--save", self.model,
                     timeout=1800)
        self.assertEqual(result.returncode, 0, result.stderr)
        # Pre-trained, tuned, reinforced.
        for words in ("held-out loss", "when tuned", "when reinforced"):
            self.assertIn(words, result.stdout)

    def serve(self, name, *flags):
        out = self.folder / name
        result = run("handoff", "--from", self.model, "--to", "simulated:0", "--out", out, *flags, timeout=1800)
        return result, verdict_of(out)

    def test_what_one_device_trained_another_serves_or_is_caught(self):
        result, verdict = self.serve("healthy")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertEqual({check["id"]: check["status"] for check in verdict["checks"]}, dict.fromkeys(GATES, "PASSED"))
        for name, what in DEFECTS.items():
            with self.subTest(f"{name}: {what}"):
                defects = self.write(f"{name}.toml", defect_file(name))
                result, verdict = self.serve(name, "--profile", "quick", "--defects", defects)
                self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
                self.assertEqual(verdict["verdict"], "NOT_QUALIFIED")
                # It lies in what is written, not in how given text is scored.
                failed = {check["id"] for check in verdict["checks"] if check["status"] == "FAILED"}
                self.assertIn("handoff.rollout_fp32", failed)
                self.assertNotIn("handoff.fp32", failed)
                reason = next(c["reason"] for c in verdict["checks"] if c["id"] == "handoff.rollout_fp32")
                self.assertIn("rollout_error", reason)


if __name__ == "__main__":
    unittest.main()
