"""ascertain ops: the list of operators, given cases, and a failure that is shown again."""

import json
import pathlib
import shlex
import unittest

from harness import SOURCE, Case, faults, run

EXAMPLES = SOURCE / "data/defects/examples"
QWEN = SOURCE / "data/models/qwen3-8b.json"


def bf16(shape, storage):
    fill = {"family": "normal", "mean": 0.0, "std": 1.0, "low": -6.0, "high": 6.0, "share": 1.0}
    return {"tensor": {"dtype": "bf16", "shape": shape, "strides": [shape[1], 1], "storage_offset": 0,
                       "storage": storage, "fill": fill}}


def case(operator="aten::mm", arguments=None, **changes):
    return {"schema": "ascertain.case/1", "operator": operator, "overload": "", "phase": "forward",
            "module": "", "count": 1, "arguments": arguments or [bf16([64, 256], 0), bf16([256, 96], 1)],
            "cuts": [], "writes": [], **changes}


class Ops(Case):
    def ops(self, *flags, device="simulated:0"):
        return run("ops", self.campaign(config=QWEN), "--device", device, "--out", self.folder / "run", *flags,
                   timeout=600)

    def replay(self, cases, *flags, **options):
        return self.ops("--cases", self.write("cases.json", json.dumps(cases)), "--format", "json", *flags, **options)

    def rows(self, result):
        document = json.loads(result.stdout)
        self.assertEqual(faults("operators", document), [])
        return {row["name"]: row for row in document["operators"]}

    def test_given_cases_are_replayed_and_a_healthy_device_passes(self):
        result = self.replay([case()])
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(self.rows(result)["mm"]["status"], "PASSED")

    def test_a_failure_names_the_smallest_case_and_the_command_shows_it_again(self):
        small, large = case(), case(arguments=[bf16([128, 256], 0), bf16([256, 96], 1)])
        result = self.replay([large, small], "--defects", EXAMPLES / "round-partial-sums.toml")
        self.assertEqual(result.returncode, 1, result.stderr)
        failed = [check for check in self.rows(result)["mm"]["checks"] if check["status"] == "FAILED"]
        command = shlex.split(failed[0]["reproduce"])
        self.assertEqual(command[:3], ["ascertain", "ops", "--case"])
        shown = json.loads(pathlib.Path(command[3]).read_text())
        self.assertEqual(shown["arguments"][0]["tensor"]["shape"], [64, 256])
        again = run(*command[1:], "--out", self.folder / "again", timeout=600)
        self.assertEqual(again.returncode, 1, again.stderr)
        self.assertIn("FAILED", again.stdout)
        # Without the defect the same command passes: it is the device that is shown, not the case.
        healthy = [word for word in command[1:] if word not in ("--defects", str(EXAMPLES / "round-partial-sums.toml"))]
        self.assertEqual(run(*healthy, "--out", self.folder / "healthy", timeout=600).returncode, 0)

    def test_operators_that_die_or_do_not_fit_cost_themselves_and_not_the_rest(self):
        huge = bf16([1 << 19, 1 << 18], 0)
        cases = [case(), case("aten::no_such_operator"), case("aten::mm", [bf16([64, 256], 0)]),
                 case("aten::relu", [huge]), case("aten::bmm", [bf16([8, 8], 0), bf16([8, 8], 1)]),
                 case("aten::topk", [bf16([8, 64], 0), {"scalar": 4}, {"scalar": -1}, {"scalar": True}, {"scalar": True}])]
        crash = self.write("crash.toml", (EXAMPLES / "crash.toml").read_text().replace("_index_put_impl", "topk")
                           .replace("after_calls = 10", "after_calls = 0"))
        result = self.replay(cases, "--defects", crash)
        rows = self.rows(result)
        self.assertEqual(rows["mm"]["status"], "PASSED", rows["mm"])
        self.assertEqual(rows["no_such_operator"]["status"], "SKIPPED")
        self.assertIn("no_such_operator", json.dumps(rows["no_such_operator"]))
        self.assertEqual(rows["relu"]["status"], "SKIPPED")
        self.assertIn("host memory", rows["relu"]["status_reason"])
        self.assertIn(rows["bmm"]["status"], ("FAILED", "UNSUPPORTED"))
        self.assertIn("batch", rows["bmm"]["status_reason"])
        self.assertIn(rows["topk"]["status"], ("CRASHED", "FAILED"))
        self.assertEqual(result.returncode, 1, result.stderr)

    def test_hostile_files_are_refused_with_their_place(self):
        for text, *fragments in (
                ("", "cases.json"), ('{"schema": "ascertain.cases/1", "cases": [', "cases.json:1:"),
                ("[]", "no case"), ("[3]", "cases[0]"), ('{"schema": "ascertain.case/2"}', "ascertain.cases/1"),
                (json.dumps([case(), case(arguments=[{"tensor": {"dtype": "bf17"}}])]), "cases[1]", "dtype"),
                (json.dumps([case(id="0123456789abcdef")]), "cases[0]", "id")):
            with self.subTest(text=text[:40]):
                path = self.write("cases.json", text)
                result = run("ops", "--cases", path, "--device", "cpu", "--out", self.folder / "run")
                self.assert_refused(result, 65, "cases.json", *fragments)

    def test_a_case_nobody_knows_is_a_usage_error(self):
        path = self.write("cases.json", json.dumps([case()]))
        result = run("ops", "--cases", path, "--case", "0123", "--device", "cpu", "--out", self.folder / "run")
        self.assert_refused(result, 64, "0123")


if __name__ == "__main__":
    unittest.main(verbosity=1)
