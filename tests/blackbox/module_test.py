"""ascertain ops --module: a module of the user's own, as a whole and taken apart."""

import json
import os
import unittest

from harness import SOURCE, Case, run

PYTHON = os.environ.get("ASCERTAIN_PYTHON", "")
MODULES = SOURCE / "tests/interop/modules.py"
QWEN = SOURCE / "data/models/qwen3-8b.json"


@unittest.skipUnless(PYTHON, "no Python beside this torch")
class Module(Case):
    def ops(self, function, *flags, device="cpu"):
        return run("ops", self.campaign(config=QWEN), "--module", f"{MODULES}:{function}", "--device", device,
                   "--out", self.folder / function, "--format", "json", *flags, timeout=900)

    def judged(self, function, *flags, only="module.eager", **options):
        """({check: status}, {check: detail}) of the checks that were asked."""
        result = self.ops(function, *(("--only", only) if only else ()), *flags, **options)
        self.assertIn(result.returncode, (0, 1, 2), result.stderr)
        details, statuses = {}, {}
        verdict = json.loads((self.folder / function / "verdict.json").read_text())
        for check in verdict["checks"]:
            statuses[check["id"]] = check["status"]
        for record in self.records(function):
            body = record.get("body", {})
            if record.get("kind") == "attempt" and body.get("role") == "measure":
                details[body["check"]] = body.get("detail", {})
        return statuses, details

    def records(self, function):
        segments = sorted((self.folder / function / "segments").glob("*.jsonl"))
        return [json.loads(line) for path in segments for line in path.read_text().splitlines()]

    def test_right_modules_pass_with_every_operator(self):
        for function in ("plain", "plain_fp32", "own_operator"):
            with self.subTest(function):
                result = self.ops(function, "--skip", "module.compiled")
                self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
                document = json.loads(result.stdout)
                rows = {row["name"]: row["status"] for row in document["operators"]}
                self.assertEqual(rows["linear"], "PASSED")
                if function == "own_operator":
                    self.assertEqual(rows["planted.gate"], "PASSED")
                whole = {check["id"]: check["status"] for check in document["of_device"]}
                self.assertEqual(whole["module.eager"], "PASSED")

    def test_an_operator_that_is_wrong_at_some_shapes_is_found_as_a_case_and_in_the_whole(self):
        statuses, details = self.judged("wrong_at_some_shapes", "--skip", "module.compiled", only="")
        self.assertEqual(statuses["module.eager"], "FAILED")
        self.assertEqual(statuses["ops.numerics.planted.gate"], "FAILED")
        self.assertEqual(statuses["ops.numerics.linear"], "PASSED")
        self.assertEqual(details["module.eager"]["foreign_operators"][0]["name"], "planted::gate")
        statuses, _ = self.judged("wrong_elsewhere_only", "--skip", "module.compiled", only="")
        self.assertEqual(statuses["module.eager"], "PASSED")
        self.assertEqual(statuses["ops.numerics.planted.gate"], "PASSED")

    def test_a_fault_in_backward_alone_is_found_in_a_gradient(self):
        statuses, details = self.judged("wrong_backward", "--skip", "module.compiled", only="")
        self.assertEqual(statuses["module.eager"], "FAILED")
        self.assertEqual(statuses["ops.numerics.planted.gate_backward"], "FAILED")
        self.assertEqual(statuses["ops.numerics.planted.gate"], "PASSED")
        tensors = {row["name"]: row for row in details["module.eager"]["tensors"]}
        self.assertLess(tensors["output[0]"]["error_ratio"], 2)
        self.assertGreater(tensors["gradient of up.weight"]["error_ratio"], 3)

    def test_an_operator_that_is_wrong_in_every_precision_needs_a_reference_of_the_users(self):
        statuses, details = self.judged("wrong_everywhere")
        self.assertEqual(statuses["module.eager"], "PASSED")
        self.assertIn("its own", details["module.eager"]["foreign_operators"][0]["reference"])
        statuses, details = self.judged("wrong_everywhere_with_reference")
        self.assertEqual(statuses["module.eager"], "FAILED")
        self.assertIn("given", details["module.eager"]["foreign_operators"][0]["reference"])

    def test_what_no_dispatcher_sees_is_listed(self):
        statuses, details = self.judged("outside")
        self.assertEqual(statuses["module.eager"], "PASSED")
        self.assertIn("outside", json.dumps(details["module.eager"]["bypassed"]))
        _, details = self.judged("plain")
        self.assertEqual(details["module.eager"]["bypassed"], [])

    def test_graphs_of_kernels_are_asked_only_where_they_are(self):
        result = self.ops("plain", "--dry-run")
        line = next(line for line in result.stdout.splitlines() if line.startswith("module.graphed"))
        self.assertIn("only cuda", line)

    def test_random_numbers_have_no_reference(self):
        result = self.ops("draws", "--only", "module.eager")
        self.assertEqual(result.returncode, 2, result.stdout)
        self.assertIn("set dropout to zero", result.stdout)

    def test_errors_of_the_users_file_name_file_and_line(self):
        for function, *words in (("raises", "modules.py:", "KeyError"), ("nothing", "(module, batch)"),
                                 ("absent", "defines no function absent"), ("mismatched", "modules.py:", "RuntimeError")):
            with self.subTest(function):
                self.assert_refused(self.ops(function), 65, "--module", *words)
        broken = self.write("broken.py", "def build(:\n    pass\n")
        result = run("ops", self.campaign(config=QWEN), "--module", f"{broken}:build", "--device", "cpu",
                     "--out", self.folder / "run")
        self.assert_refused(result, 65, "broken.py:1", "SyntaxError")
        result = run("ops", self.campaign(config=QWEN), "--module", "/no/such.py:build", "--device", "cpu",
                     "--out", self.folder / "run")
        self.assert_refused(result, 65, "/no/such.py:build", "file must be there")


if __name__ == "__main__":
    unittest.main(verbosity=1)
