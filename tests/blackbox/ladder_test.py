"""The ladder: what a rung may be said of, what is foretold, and an earlier run's answers taken over."""

import json
import unittest

from harness import SOURCE, Case, run, verdict_of

QWEN = SOURCE / "data/models/qwen3-8b.json"


class Ladder(Case):
    def ops(self, out, *flags, campaign=None, command="ops"):
        return run(command, campaign or self.campaign(config=QWEN), "--device", "simulated:0", "--only", "ops.battery.loss",
                   "--only", "ops.battery.optimizer", "--out", self.folder / out, *flags, timeout=600)

    def records(self, out, kind):
        shown = run("evidence", "show", self.folder / out, "--kind", kind)
        self.assertEqual(shown.returncode, 0, shown.stderr)
        lines = [json.loads(line) for path in sorted((self.folder / out / "segments").glob("*.jsonl"))
                 for line in path.read_text().splitlines()]
        return [line for line in lines if line["kind"] == kind]

    def test_a_rung_is_foretold_first_and_spoken_of_only_when_it_was_under_test(self):
        # Only the whole speaks of a rung: a part claims no more than its devices.
        self.ops("run", "--rung", "node", command="qualify")
        verdict = verdict_of(self.folder / "run")
        self.assertEqual(verdict["scope"]["rung"], "node")
        self.assertNotEqual(verdict["verdict"], "QUALIFIED")
        reasons = [blocker["reason"] for blocker in verdict["blockers"]]
        self.assertTrue(any("node rung of this campaign has 8 devices, 1 was under test" in one for one in reasons),
                        reasons)
        foretold = self.records("run", "prediction")
        first_attempt = min(record["sequence"] for record in self.records("run", "attempt"))
        rungs = [record for record in foretold if record["body"]["id"].startswith("rung.")]
        self.assertTrue(rungs)
        for record in rungs:
            self.assertLess(record["sequence"], first_attempt)
            body = record["body"]
            self.assertLessEqual(body["low"], body["value"])
            self.assertGreaterEqual(body["high"], body["value"])
            self.assertTrue(body["basis"])
        ids = {record["body"]["id"] for record in rungs}
        self.assertIn("rung.node.interruptions", ids)
        self.assertIn("rung.domain.interruptions", ids, "of the next rung too")

    def test_answers_are_taken_over_cited_and_not_asked_again(self):
        self.ops("low")
        second = self.ops("high", "--reuse", self.folder / "low")
        self.assertIn("reusing 2 answers of the device rung", second.stderr)
        [cited] = self.records("high", "reused")
        low = self.records("low", "finished")[-1]
        self.assertEqual(cited["body"]["evidence_head"], low["hash"])
        attempts = [record for record in self.records("high", "attempt") if record["body"]["outcome"] != "skipped"]
        self.assertTrue(attempts)
        for record in attempts:
            self.assertEqual(record["body"]["detail"]["reused"]["evidence_head"], low["hash"])
        before = {check["id"]: check["status"] for check in verdict_of(self.folder / "low")["checks"]}
        after = {check["id"]: check["status"] for check in verdict_of(self.folder / "high")["checks"]}
        self.assertEqual(before, after)
        self.assertEqual(run("evidence", "verify", self.folder / "high").returncode, 0)

    def test_another_question_is_asked_whole_and_it_is_said_why(self):
        self.ops("low")
        other = self.campaign(('precision = "bf16"', 'precision = "fp16"'), config=QWEN)
        second = self.ops("high", "--reuse", self.folder / "low", campaign=other)
        self.assertIn("to be repeated: everything: the campaign's precision differs", second.stderr)
        self.assertFalse(any("reused" in record["body"]["detail"] for record in self.records("high", "attempt")))

    def test_evidence_that_does_not_verify_is_not_taken_over(self):
        self.ops("low")
        [segment] = (self.folder / "low/segments").glob("*.jsonl")
        segment.write_text(segment.read_text().replace('"outcome":"completed"', '"outcome":"Completed"', 1))
        self.assert_refused(self.ops("high", "--reuse", self.folder / "low"), 74, "low")

    def test_reuse_belongs_to_the_start_of_a_run(self):
        refused = self.ops("run", "--resume", "--reuse", self.folder / "low")
        self.assertEqual(refused.returncode, 64)


if __name__ == "__main__":
    unittest.main(verbosity=1)
