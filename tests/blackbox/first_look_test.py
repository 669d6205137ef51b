"""The main job as it is meant: no argument but the place of the evidence."""

import json
import unittest

from harness import Case, faults, run, verdict_of


class FirstLook(Case):
    def test_screens_this_machine_and_does_not_qualify_the_fleet(self):
        out = self.folder / "run"
        result = run("qualify", "--out", out, timeout=900)
        self.assertEqual(result.returncode, 2, result.stderr[-3000:])
        verdict = verdict_of(out)
        self.assertEqual(verdict["verdict"], "INCONCLUSIVE")
        self.assertEqual(faults("verdict", verdict), [])
        self.assertEqual(verdict["scope"]["devices"], ["cpu"])
        self.assertGreater(len(verdict["required"]), 20)
        self.assertTrue(verdict["next_rung"]["settles"])
        # Nothing healthy may be called wrong, and what ran has its numbers.
        failed = [c["id"] for c in verdict["checks"] if c["status"] in ("FAILED", "FLAKY", "CRASHED", "TIMED_OUT")]
        self.assertEqual(failed, [])
        self.assertEqual({c["id"] for c in verdict["checks"] if c["required"]}, set(verdict["required"]))
        measured = [c for c in verdict["checks"] if c["observation"]]
        self.assertGreater(len(measured), 20)
        self.assertTrue(all(c["records"] for c in measured))
        self.every_line_links_to_a_record(out, verdict)
        self.the_projection_says_what_it_rests_on(verdict)

    def every_line_links_to_a_record(self, out, verdict):
        known = set()
        for segment in sorted((out / "segments").glob("*.jsonl")):
            for line in segment.read_text().splitlines():
                record = json.loads(line)
                known.add(f"r{record['sequence']:06d}")
                self.assertEqual(faults("record", record), [], record["kind"])
        for check in verdict["checks"]:
            self.assertLessEqual(set(check["records"]), known, check["id"])
        html = (out / "report.html").read_text()
        self.assertIn("INCONCLUSIVE", html)
        self.assertNotIn("http://", html.replace("http://www.w3.org", ""))

    def the_projection_says_what_it_rests_on(self, verdict):
        projection = verdict["projection"]
        self.assertEqual(projection["schema"], "ascertain.projection/1")
        kinds = {item["kind"] for item in projection["provenance"]}
        self.assertTrue(kinds)
        days = projection["finish_days"]
        self.assertLess(days["p10"], days["p50"])
        # Where too many histories never finish there is no 90 % quantile, and the reason is given.
        self.assertTrue(days["reason"] if days["p90"] is None else days["p50"] < days["p90"])


if __name__ == "__main__":
    unittest.main(verbosity=1)
