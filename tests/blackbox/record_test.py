"""The recorder in somebody's own trainer: what it writes is what `ops --cases` replays."""

import json
import os
import subprocess
import unittest

from harness import BUILD, SOURCE, Case, faults, run

PYTHON = os.environ.get("ASCERTAIN_PYTHON", "")
TRAINERS = SOURCE / "tests/interop/trainers.py"
QWEN = SOURCE / "data/models/qwen3-8b.json"


@unittest.skipUnless(PYTHON, "no Python beside this torch")
class Recorder(Case):
    trainer = "plain"

    def train(self, how, *arguments, **environment):
        env = {**os.environ, "RECORDER": str(BUILD / "worker/libascertain_recorder.so"), "OMP_NUM_THREADS": "1",
               **environment}
        return subprocess.run([PYTHON, str(TRAINERS), self.trainer, how, *map(str, arguments)], env=env, text=True,
                              capture_output=True, timeout=300)

    def recorded(self):
        """The case file of one step, by the two calls."""
        path = self.folder / "cases.json"
        result = self.train("api", path)
        self.assertEqual(result.returncode, 0, result.stderr)
        document = json.loads(path.read_text())
        self.assertEqual(faults("cases", document), [])
        self.assertEqual(len(document["cases"]), int(result.stdout))
        return path, document

    def replay(self, path, *flags):
        result = run("ops", self.campaign(config=QWEN), "--device", "cpu", "--cases", path, "--format", "json",
                     "--out", self.folder / "run", *flags, timeout=600)
        return result, {row["name"]: row for row in json.loads(result.stdout or '{"operators": []}')["operators"]}

    def assert_a_whole_step(self, document):
        seen = {(entry["name"].removeprefix("aten::"), entry["phase"]) for entry in document["operators"]}
        for name, phase in (("linear", "forward"), ("mm", "backward"), ("index_select", "forward"),
                            ("linalg_vector_norm", "clip"), ("_fused_adamw_", "optimizer")):
            self.assertIn((name, phase), seen)
        self.assertIn("attention", " ".join(name for name, _ in seen))
        for entry in document["operators"]:
            if entry["compute"]:
                self.assertTrue(entry["case_ids"] or entry["without_case_reason"], entry)

    def test_a_recorded_step_is_whole_and_replays(self):
        path, document = self.recorded()
        self.assert_a_whole_step(document)
        result, rows = self.replay(path)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertEqual(rows["linear"]["status"], "PASSED")
        self.assertEqual({name for name, row in rows.items() if row["status"] not in ("PASSED", "SKIPPED")}, set())

    def test_the_environment_alone_records_the_second_step(self):
        path = self.folder / "cases-{rank}.json"
        result = self.train("environment", ASCERTAIN_RECORD=str(path), RANK="3")
        self.assertEqual(result.returncode, 0, result.stderr)
        document = json.loads((self.folder / "cases-3.json").read_text())
        self.assertEqual(document["steps"], 1)
        self.assert_a_whole_step(document)
        self.assertIn("cases-3.json", result.stderr)

    def test_what_cannot_be_recorded_is_said_and_the_training_goes_on(self):
        for environment, words in (({"ASCERTAIN_RECORD": "/no/such/folder/c.json"}, "/no/such/folder"),
                                   ({"ASCERTAIN_RECORD": str(self.folder / "c.json"),
                                     "ASCERTAIN_RECORD_STEPS": "two"}, "two"),
                                   ({"ASCERTAIN_RECORD": str(self.folder / "c.json"),
                                     "ASCERTAIN_RECORD_STEPS": "9"}, "before step 9")):
            with self.subTest(environment=environment):
                result = self.train("environment", **environment)
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertIn(words, result.stderr)
        self.assertFalse((self.folder / "c.json").exists())

    def test_a_file_cut_off_or_of_another_torch_is_named(self):
        path, document = self.recorded()
        text = path.read_text()
        path.write_text(text[:len(text) // 2])
        result, _ = self.replay(path)
        self.assert_refused(result, 65, "cases.json:")
        # A case of a newer torch: an operator, and an argument, that this one has not.
        strange = dict(document["cases"][0], operator="aten::of_tomorrow")
        longer = next(one for one in document["cases"] if one["operator"] == "aten::linear")
        longer = dict(longer, arguments=longer["arguments"] + [{"none": True}])
        fitting = next(one for one in document["cases"] if one["operator"] == "aten::mm")
        for one in (strange, longer):
            del one["id"]
        path.write_text(json.dumps({"schema": "ascertain.cases/1", "torch": "3.1.0", "cases": [strange, longer, fitting],
                                    "operators": [{"name": "vendor::opaque", "phase": "forward", "count": 4,
                                                   "compute": True, "without_case_reason": "an object"}]}))
        result, rows = self.replay(path)
        for name, words in (("of_tomorrow", "3.1.0"), ("linear", "takes"), ("vendor.opaque", "an object")):
            self.assertEqual(rows[name]["status"], "SKIPPED", rows[name])
            self.assertIn(words, json.dumps(rows[name]))
        self.assertEqual(rows["mm"]["status"], "PASSED")


if __name__ == "__main__":
    unittest.main(verbosity=1)
