"""The trial's checks of endurance and parallelism, by a person who asks for them alone."""

import json
import unittest

from harness import Case, run, verdict_of


class Trial(Case):
    def ask(self, *arguments):
        self.out = self.folder / "out"
        self.result = run("trial", "--out", self.out, *arguments, timeout=800)
        return {check["id"]: check for check in verdict_of(self.out)["checks"]}

    def metrics(self, check):
        return {m["metric"]: m["value"] for m in check["observation"]}

    def test_killed_it_goes_on_to_the_same_bits(self):
        check = self.ask("--device", "cpu", "--only", "trial.resume")["trial.resume"]
        self.assertEqual(check["status"], "PASSED", check["reason"] + self.result.stderr)
        found = self.metrics(check)
        self.assertEqual(found["resumptions"], 2)  # killed in a step, and in a checkpoint
        self.assertEqual(found["states_differing"], 0)
        self.assertGreater(found["checkpoint_bytes"], 1_000_000)  # weights and two moments of 300,000 numbers
        self.assertIn("killed and resumed", (self.out / "report.html").read_text())

    def test_ranks_together_compute_what_one_computes(self):
        check = self.ask("--device", "simulated:0", "--ranks", "2", "--only", "trial.parallel")["trial.parallel"]
        self.assertEqual(check["status"], "PASSED", json.dumps(check["observation"]) + check["reason"] +
                         self.result.stderr)
        self.assertGreaterEqual(self.metrics(check)["forms"], 5)
        self.assertIn("parallel equals serial", (self.out / "report.html").read_text())


if __name__ == "__main__":
    unittest.main()
