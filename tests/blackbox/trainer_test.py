"""A person brings a trainer of their own: `ascertain trial --command`, with trainers good, bad and hostile.

Each is a script of plain Python whose loss is a formula, so that what must come out is known.
"""

import json
import os
import sys
import unittest

from harness import Case, run, verdict_of

PYTHON = sys.executable

# Loss 1 + 2/step of a model that remembers its step in a checkpoint; `noise` depends on the seed alone.
TRAINER = """
import json, os, random, sys, time
out, seed = os.environ["ASCERTAIN_OUT"], int(os.environ["ASCERTAIN_SEED"])
shift = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0
forgets = "forgets" in sys.argv
noise = random.Random(seed).gauss(0, 0.001)
state = os.path.join(out, "state")
first = int(open(state).read()) + 1 if os.path.exists(state) and not forgets else 1
for step in range(first, 61):
    loss = (1 + 2 / step) * (1 + noise) * (1 + shift)
    with open(os.path.join(out, "metrics.jsonl"), "a") as file:
        file.write(json.dumps({"step": step, "loss": loss, "grad_norm": 1 / step}) + "\\n")
    print("step", step, "loss", loss, flush=True)
    if step % 5 == 0:
        open(state + ".new", "w").write(str(step))
        os.replace(state + ".new", state)
    time.sleep(0.01)
"""


class Trainer(Case):
    def trial(self, *arguments, device="npu:0"):
        self.out = self.folder / "out"
        return run("trial", "--device", device, "--out", self.out, *arguments, timeout=600)

    def script(self, text=TRAINER, name="train.py"):
        return f"{PYTHON} {self.write(name, text)}"

    def statuses(self):
        return {check["id"]: check["status"] for check in verdict_of(self.out)["checks"]}

    def reason(self, check):
        return next(c["reason"] for c in verdict_of(self.out)["checks"] if c["id"] == check)

    def metric(self, check, name):
        observation = next(c["observation"] for c in verdict_of(self.out)["checks"] if c["id"] == check)
        return next(m["value"] for m in observation if m["metric"] == name)

    def test_a_healthy_trainer_passes_everything(self):
        command = self.script()
        result = self.trial("--command", command, "--metrics", "metrics.jsonl", "--reference-command", command,
                            "--replicas", "4")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertEqual(set(self.statuses().values()), {"PASSED"}, self.statuses())
        # Pairs of one seed differ by nothing here, so the interval is that of the least spread.
        self.assertEqual(self.metric("trainer.equivalence", "loss_difference"), 0)
        killed, resumed = (self.metric("trainer.resumes", name) for name in ("killed_at", "resumed_from"))
        self.assertGreaterEqual(killed, 30)
        # It saves every five steps, before the next metric is written.
        self.assertEqual(resumed, (killed // 5) * 5 + 1 if resumed > killed - 5 else None)
        self.assertTrue((self.out / "report.html").stat().st_size > 0)
        self.assertIn("power", result.stdout)
        judged = run("judge", self.out)
        self.assertIn("trainer.equivalence", judged.stdout + (self.out / "verdict.json").read_text())

    def test_a_device_that_learns_less_fails(self):
        command = self.script()
        result = self.trial("--command", command + " 0.02", "--metrics", "metrics.jsonl", "--reference-command", command,
                            "--replicas", "4", "--skip", "trainer.resumes")
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        self.assertEqual(self.statuses()["trainer.equivalence"], "FAILED")
        self.assertAlmostEqual(self.metric("trainer.equivalence", "loss_difference"), 0.02, places=9)

    def test_too_few_replicas_decide_nothing(self):
        command = self.script()
        result = self.trial("--command", command, "--metrics", "metrics.jsonl", "--reference-command", command,
                            "--replicas", "2", "--skip", "trainer.resumes")
        self.assertEqual(result.returncode, 2, result.stdout + result.stderr)
        self.assertIn("too few", self.reason("trainer.equivalence"))
        self.assertIn("--replicas 4", result.stderr)

    def test_replicas_that_ignore_the_seed_are_no_replicas(self):
        command = self.script(TRAINER.replace("Random(seed)", "Random(1)"))
        result = self.trial("--command", command, "--metrics", "metrics.jsonl", "--reference-command", command,
                            "--replicas", "4", "--skip", "trainer.resumes")
        self.assertEqual(result.returncode, 2, result.stdout + result.stderr)
        self.assertIn("copies of each other", self.reason("trainer.equivalence"))

    def test_a_recorded_reference_serves(self):
        command = self.script()
        recorded = []
        for seed in range(10, 16):
            import random
            noise = random.Random(seed).gauss(0, 0.001)
            lines = [json.dumps({"step": s, "loss": (1 + 2 / s) * (1 + noise)}) for s in range(1, 61)]
            recorded += ["--reference-metrics", self.write(f"reference-{seed}.jsonl", "\n".join(lines) + "\n")]
        result = self.trial("--command", command, "--metrics", "metrics.jsonl", *recorded, "--margin", "2",
                            "--skip", "trainer.resumes")
        self.assertEqual(self.statuses()["trainer.equivalence"], "PASSED", result.stdout)
        self.assertEqual(self.metric("trainer.equivalence", "replicas"), 6)

    def test_without_a_reference_nothing_is_compared(self):
        result = self.trial("--command", self.script(), "--log-pattern", r"step (?P<step>\d+) loss (?P<loss>[.\d]+)")
        self.assertEqual(result.returncode, 2, result.stdout + result.stderr)
        self.assertEqual(self.statuses(), {"trainer.completes": "PASSED", "trainer.resumes": "PASSED",
                                           "trainer.equivalence": "SKIPPED"})
        self.assertIn("--reference-command", self.reason("trainer.equivalence"))

    def test_a_trainer_that_begins_again_has_not_resumed(self):
        result = self.trial("--command", self.script() + " 0 forgets", "--metrics", "metrics.jsonl")
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        self.assertEqual(self.statuses()["trainer.resumes"], "FAILED")
        self.assertEqual(self.metric("trainer.resumes", "steps_lost_share"), 1)

    def hostile(self, text, *arguments):
        return self.trial("--command", self.script(text), "--metrics", "metrics.jsonl", "--skip", "trainer.resumes",
                          *arguments)

    def test_a_loss_that_is_no_number_fails(self):
        result = self.hostile(TRAINER.replace("* (1 + shift)", "* (float('nan') if step > 20 else 1)"))
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        self.assertEqual(self.statuses()["trainer.completes"], "FAILED")

    def test_a_metrics_file_that_stops_is_a_hang(self):
        result = self.hostile(TRAINER.replace("time.sleep(0.01)", "time.sleep(1000 if step == 9 else 0)"), "--silence", "2s")
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        self.assertIn("hung", self.reason("trainer.completes"))
        self.assertIn("after step 9", self.reason("trainer.completes"))

    def test_a_crash_is_told_with_its_last_line(self):
        result = self.hostile(TRAINER + "raise RuntimeError('out of device memory')\n")
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        self.assertIn("out of device memory", self.reason("trainer.completes"))

    def test_a_gigabyte_of_output_fills_nothing(self):
        result = self.hostile("import sys\nwhile True: sys.stdout.write('x' * 65536 + '\\n')\n")
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        self.assertIn("printed more than", self.reason("trainer.completes"))
        kept = sum(path.stat().st_size for path in self.out.rglob("*") if path.is_file())
        self.assertLess(kept, 4 << 20)

    def test_what_it_forked_is_ended_with_it(self):
        forks = ("import os, sys, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
                 f"        open({str(self.folder / 'orphan')!r}, 'w').write(str(os.getpid()))\n"
                 "        time.sleep(1000)\n    os._exit(0)\n"
                 f"while not os.path.exists({str(self.folder / 'orphan')!r}): time.sleep(0.01)\n")
        self.hostile(forks + TRAINER)
        self.assertEqual(self.statuses()["trainer.completes"], "PASSED")
        self.assertEqual(self.metric("trainer.completes", "left_behind"), 1)
        with self.assertRaises(ProcessLookupError):
            os.kill(int((self.folder / "orphan").read_text()), 0)

    def test_nothing_readable_is_never_a_pass(self):
        result = self.hostile("print('loss: 2.0')\n")
        self.assertEqual(result.returncode, 2, result.stdout + result.stderr)
        self.assertIn("no line with a loss", self.reason("trainer.completes"))

    def test_bad_command_lines_say_what_to_do(self):
        command = ["trial", "--device", "npu:0", "--out", self.folder / "out", "--command", "true"]
        self.assert_refused(run(*command), 64, "--metrics FILE", "--log-pattern")
        self.assert_refused(run(*command, "--metrics", "m", "--log-pattern", "(x"), 64, "either")
        self.assert_refused(run(*command, "--log-pattern", "(x"), 64, "--log-pattern", "no regular expression")
        self.assert_refused(run(*command, "--metrics", "m", "--reference-metrics", self.folder / "none"), 65, "none")
        self.assert_refused(run(*command, "--metrics", "m", "--for", "soon"), 64, "--for")
        self.assert_refused(run("trial", "--metrics", "m"), 64, "--command")


if __name__ == "__main__":
    unittest.main()
