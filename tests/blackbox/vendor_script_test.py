"""A vendor script needs torch alone: it passes on a healthy device and fails on a faulty one."""

import json
import os
import pathlib
import subprocess
import unittest

from harness import BUILD, SOURCE, Case, run
from ops_test import EXAMPLES, QWEN, bf16, case

PYTHON = os.environ.get("ASCERTAIN_PYTHON", "")
LINES_MAX = 40


def armed(operator, effect, does=""):
    return f'''schema = "ascertain.defect/1"
[[defect]]
id = "planted"
summary = "one planted fault"
source = "ours: a test"
[defect.where]
operator = "{operator}"
[defect.does]
kind = "{effect}"
{does}
'''


@unittest.skipUnless(PYTHON, "no Python beside this torch")
class VendorScript(Case):
    def script_exits(self, script, defects):
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SOURCE / "chips/simulated"),
                       "ASCERTAIN_SIMULATED_LIBRARY": str(BUILD / "worker/libascertain_simulated.so")}
        environment.pop("ASCERTAIN_DEFECTS", None)
        if defects:
            environment["ASCERTAIN_DEFECTS"] = str(defects)
        return subprocess.run([PYTHON, str(script)], env=environment, capture_output=True, text=True, timeout=300)

    def scripts_of(self, cases, defects, *flags):
        out = self.folder / "run"
        result = run("ops", self.campaign(config=QWEN), "--device", "simulated:0", "--out", out, "--cases",
                     self.write("cases.json", json.dumps(cases)), "--defects", defects, "--format", "json", *flags)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.report = (out / "report.html").read_text()
        return {path.stem: path for path in sorted((out / "vendor").glob("*.py"))}

    def assert_tells_them_apart(self, scripts, defects):
        for name, script in scripts.items():
            with self.subTest(name):
                text = script.read_text()
                self.assertLessEqual(len(text.splitlines()), LINES_MAX)
                imports = [line.split()[1:] for line in text.splitlines() if line.startswith("import ")]
                self.assertEqual(imports[0], ["sys,", "torch"])
                self.assertIn(f"vendor/{name}.py", self.report)
                healthy = self.script_exits(script, None)
                self.assertEqual(healthy.returncode, 0, healthy.stdout + healthy.stderr)
                faulty = self.script_exits(script, defects)
                self.assertEqual(faulty.returncode, 1, faulty.stdout + faulty.stderr)

    def test_a_wrong_product_is_shown_to_whoever_made_the_chip(self):
        defects = EXAMPLES / "round-partial-sums.toml"
        scripts = self.scripts_of([case()], defects, "--only", "ops.numerics")
        self.assertIn("ops.numerics.mm", scripts)
        self.assert_tells_them_apart({"ops.numerics.mm": scripts["ops.numerics.mm"]}, defects)

    def test_lists_indices_and_written_arguments_become_scripts(self):
        defects = self.write("all.toml", armed("*", "scale", "factor = 1.03"))
        index = {"tensor": {"dtype": "int64", "shape": [32], "strides": [1], "storage_offset": 0, "storage": 1,
                            "fill": {"family": "index", "mean": 0.0, "std": 1.0, "low": 0, "high": 63, "share": 1.0}}}
        cases = [case("aten::index_select", [bf16([64, 256], 0), {"scalar": 0}, index]),
                 case("aten::silu", [bf16([64, 256], 0)]),
                 case("aten::mul_", [bf16([64, 256], 0), bf16([64, 256], 1)], overload="Tensor", writes=["self"]),
                 case("aten::cat", [{"tensors": [bf16([64, 256], 0)["tensor"], bf16([32, 256], 1)["tensor"]]},
                                    {"scalar": 0}])]
        scripts = self.scripts_of(cases, defects, "--only", "ops.numerics")
        self.assertEqual(len(scripts), len(cases), sorted(scripts))
        self.assert_tells_them_apart(scripts, defects)

    def test_a_battery_that_failed_is_shown_by_a_call_of_its_first_failed_question(self):
        defects = self.write("mm.toml", armed("mm", "scale", "factor = 1.03"))
        out = self.folder / "run"
        result = run("ops", self.campaign(config=QWEN), "--device", "simulated:0", "--out", out, "--defects", defects,
                     "--only", "ops.battery.integer_products", timeout=600)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.report = (out / "report.html").read_text()
        scripts = {path.stem: path for path in (out / "vendor").glob("*.py")}
        self.assertEqual(set(scripts), {"ops.battery.integer_products"})
        self.assertIn("mm", scripts["ops.battery.integer_products"].read_text())
        self.assert_tells_them_apart(scripts, defects)

    def test_an_operator_that_does_not_repeat_is_run_again_and_again(self):
        text = armed("mm", "flip_bit", "bit = 12\nelement = 7").replace("[defect.does]", "[defect.when]\nevery = 2\n[defect.does]")
        defects = self.write("sometimes.toml", text)
        scripts = self.scripts_of([case()], defects, "--only", "ops.repeat")
        repeat = {name: path for name, path in scripts.items() if name.startswith("ops.repeat")}
        self.assertTrue(repeat, sorted(scripts))
        self.assert_tells_them_apart(repeat, defects)


if __name__ == "__main__":
    unittest.main(verbosity=1)
