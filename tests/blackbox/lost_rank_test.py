"""A rank that is killed or stopped at a drawn moment ends its attempt in the right outcome, in time, and is named.

TRIALS (environment): how many; 5 unless it says otherwise.
"""

import json
import os
import pathlib
import random
import signal
import subprocess
import time
import unittest

from harness import ASCERTAIN, SOURCE, Case

TRIALS = int(os.environ.get("TRIALS", "5"))
RANKS = 3
# Ten times the six seconds that quick's collectives are expected to take, once the wait for a lost rank, a margin.
DEADLINE_S = 10 * 6 + 20 + 5
LATE_S = 5
START_S = 180


def workers_of(pid):
    """The worker processes of a run, in the order of their start: rank 0, 1, 2."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append((int(fields[19]), int(entry.name)))  # started when, pid
    return [number for _, number in sorted(found)]


def broken_attempt(out):
    """The first attempt in evidence that did not complete, or None."""
    for path in sorted(out.rglob("*")):
        if not path.is_file() or path.suffix == ".zst":
            continue
        for line in path.read_text(errors="replace").splitlines():
            if '"attempt"' not in line:
                continue
            try:
                record = json.loads(line)
            except ValueError:
                continue  # being written
            body = record.get("body", {})
            if body.get("check") == "links.data" and body.get("outcome") in ("crashed", "timed_out", "device_lost"):
                return body
    return None


class LostRank(Case):
    def wait_for(self, what, seconds, process):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = what()
            if found:
                return found
            self.assertIsNone(process.poll(), "the run ended")
            time.sleep(0.05)
        self.fail("nothing within the time")

    def trial(self, seed):
        draw = random.Random(seed)
        rank = draw.randrange(RANKS)
        kill = draw.random() < 0.5
        out = self.folder / f"run-{seed}"
        process = subprocess.Popen(
            [ASCERTAIN, "links", "--device", "simulated:0", "--ranks", str(RANKS), "--out", str(out), "--only",
             "links.data"],
            env={**os.environ, "ASCERTAIN_HOME": str(SOURCE), "NO_COLOR": "1"}, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        try:
            alive = self.wait_for(lambda: (lambda found: found if len(found) == RANKS else None)(workers_of(process.pid)),
                                  START_S, process)
            time.sleep(draw.uniform(0.0, 4.0))
            os.kill(alive[rank], signal.SIGKILL if kill else signal.SIGSTOP)
            # A machine that is slow to start workers may be late by that much.
            attempt = self.wait_for(lambda: broken_attempt(out), DEADLINE_S + LATE_S + 30, process)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)
        where = f"seed {seed}, rank {rank}, {'killed' if kill else 'stopped'}: {attempt['message']}"
        self.assertEqual(attempt["outcome"], "crashed" if kill else "timed_out", where)
        self.assertTrue(attempt["message"].startswith(f"rank {rank} (simulated:0)"), where)
        self.assertLess(attempt["duration_s"], DEADLINE_S + LATE_S, where)

    def test_it_is_named_in_time(self):
        for seed in range(TRIALS):
            with self.subTest(seed=seed):
                self.trial(seed)


if __name__ == "__main__":
    unittest.main(verbosity=2)
