"""What a qualification says, on this machine's CPU, in every way in which it could lie."""

import json
import os
import signal
import subprocess
import time
import unittest

from harness import ASCERTAIN, SOURCE, Case, run, verdict_of


class Qualify(Case):
    def setUp(self):
        super().setUp()
        self.out = self.folder / "run"

    def qualify(self, *flags, **options):
        return run("qualify", self.campaign(), "--out", self.out, *flags, **options)

    def test_dry_run_prints_the_required_set_and_writes_nothing(self):
        result = self.qualify("--dry-run")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("ops.numerics.mm", result.stdout)
        self.assertIn("required", result.stdout)
        self.assertFalse(self.out.exists())

    def test_filter_that_matches_nothing_is_a_usage_error_not_a_pass(self):
        self.assert_refused(self.qualify("--only", "ops.nothing"), 64, "ops.nothing")
        self.assertFalse((self.out / "verdict.json").exists())

    def test_everything_skipped_is_inconclusive(self):
        result = self.qualify("--skip", "@compute", "--skip", "@learn", "--skip", "@endure", "--skip", "@serve")
        self.assertIn(result.returncode, (2, 64), result.stderr)
        if result.returncode == 2:
            self.assertEqual(verdict_of(self.out)["verdict"], "INCONCLUSIVE")

    def test_one_check_alone_screens_and_does_not_qualify(self):
        result = self.qualify("--only", "device.identity")
        self.assertEqual(result.returncode, 2, result.stderr)
        verdict = verdict_of(self.out)
        self.assertEqual(verdict["verdict"], "INCONCLUSIVE")
        self.assertEqual(verdict["schema"], "ascertain.verdict/1")
        self.assertTrue(verdict["blockers"])
        self.assertEqual(verdict["scope"]["rung"], "device")

    def test_judge_gives_the_same_verdict_again(self):
        self.qualify("--only", "device.identity")
        again = run("judge", self.out, "--format", "json")
        self.assertEqual(again.returncode, 2, again.stderr)
        self.assertEqual(json.loads(again.stdout), verdict_of(self.out))

    def test_evidence_verifies_and_shows(self):
        self.qualify("--only", "device.identity")
        self.assertEqual(run("evidence", "verify", self.out).returncode, 0)
        shown = run("evidence", "show", self.out, "--kind", "attempt")
        self.assertIn("device.identity", shown.stdout)

    def test_interrupt_keeps_evidence_and_ends_within_a_second(self):
        process = subprocess.Popen([ASCERTAIN, "qualify", str(self.campaign()), "--out", str(self.out)],
                                   env={**os.environ, "ASCERTAIN_HOME": str(SOURCE)}, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        segments = self.out / "segments"
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not (segments.exists() and any(
                '"kind":"attempt"' in file.read_text() for file in segments.glob("*.jsonl"))):
            self.assertIsNone(process.poll(), "it ended before it was interrupted")
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        process.communicate(timeout=20)
        self.assertEqual(process.returncode, 130)
        self.assertLess(time.monotonic() - started, 3.0)  # one second, and room for a loaded machine
        self.assertEqual(run("evidence", "verify", self.out).returncode, 0)
        resumed = run("qualify", self.campaign(), "--out", self.out, "--resume", "--only", "device.identity")
        self.assertIn(resumed.returncode, (2, 74), resumed.stderr)

    def test_two_runs_in_one_directory_are_refused(self):
        process = subprocess.Popen([ASCERTAIN, "qualify", str(self.campaign()), "--out", str(self.out)],
                                   env={**os.environ, "ASCERTAIN_HOME": str(SOURCE)},
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        while not (self.out / "segments").exists():
            self.assertIsNone(process.poll())
            time.sleep(0.05)
        self.assert_refused(self.qualify("--resume"), 74, "use")


if __name__ == "__main__":
    unittest.main(verbosity=1)
