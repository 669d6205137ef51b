"""`prove` arms defects one by one: what it catches, what it refuses, what it keeps."""

import json
import signal
import subprocess
import unittest

from harness import ASCERTAIN, SOURCE, Case, faults, run

EXAMPLES = SOURCE / "data/defects/examples"
HEADER = 'schema = "ascertain.defect/1"\n'


def defect(name, where, does, when=""):
    """An entry of a defect file."""
    return (f'[[defect]]\nid = "{name}"\nsummary = "planted by a test"\nsource = "ours"\n'
            f"[defect.where]\n{where}\n{when}\n[defect.does]\n{does}\n")


class Prove(Case):
    def prove(self, *flags, timeout=600):
        return run("prove", "--profile", "quick", *flags, timeout=timeout)

    def test_a_gross_fault_is_caught_and_one_that_never_fires_is_not_exercised(self):
        path = self.write("two.toml", HEADER + defect("gross", 'operator = "silu"', 'kind = "zero_output"')
                          + defect("never", 'operator = "silu"', 'kind = "zero_output"',
                                   "[defect.when]\nafter_calls = 1000000000"))
        result = self.prove("--defects", path, "--only", "*", "--format", "json")
        self.assertEqual(result.returncode, 0, result.stderr)
        document = json.loads(result.stdout)
        self.assertEqual(faults("proof", document), [])
        gross, never = document["defects"]
        self.assertTrue(gross["caught"] and gross["exercised"])
        self.assertTrue(all(one["check"].startswith("ops.") for one in gross["caught_by"]), gross)
        self.assertIn(gross["caught_by"][0]["status"], ("FAILED", "FLAKY"))
        self.assertIsNone(gross["miss_reason"])
        self.assertFalse(never["caught"] or never["exercised"])
        self.assertIn("not exercised", never["miss_reason"])
        self.assertEqual([document["summary"][key] for key in ("defects", "exercised", "caught")], [2, 1, 1])

    def test_a_wrong_file_is_refused_with_its_place_before_anything_runs(self):
        path = self.write("wrong.toml", (EXAMPLES / "scale.toml").read_text().replace("factor", "factr"))
        self.assert_refused(self.prove("--defects", path), 65, "wrong.toml:", "factor")
        empty = self.write("empty.toml", HEADER)
        self.assert_refused(self.prove("--defects", empty), 65, "empty.toml", "defect")
        twice = self.write("twice.toml", 2 * defect("same", 'operator = "mm"', 'kind = "zero_output"'))
        self.assert_refused(self.prove("--defects", twice), 65, "twice.toml:", "same")
        self.assert_refused(self.prove("--defects", self.folder / "none.toml"), 65, "none.toml")

    def test_what_selects_nothing_is_refused_with_the_near_match(self):
        result = self.prove("--defects", EXAMPLES, "--only", "example-scal")
        self.assert_refused(result, 64, "example-scale")
        self.assert_refused(self.prove("--resume"), 64, "--out")

    def test_an_interrupted_proof_keeps_what_it_has_and_goes_on(self):
        path = self.write("three.toml", HEADER + "".join(
            defect(f"gross-{n}", 'operator = "silu"', 'kind = "zero_output"') for n in (1, 2, 3)))
        out = self.folder / "proof"
        flags = ("prove", "--profile", "quick", "--defects", str(path), "--only", "*", "--out", str(out), "--jobs", "1")
        process = subprocess.Popen([ASCERTAIN, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            if line.startswith("[1/3]"):
                break
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, printed)
        self.assertIn("gross-1", printed)
        self.assertIn("--resume", printed)
        resumed = run(*flags, "--resume", "--format", "json", timeout=600)
        self.assertEqual(resumed.returncode, 0, resumed.stderr)
        document = json.loads(resumed.stdout)
        self.assertEqual([one["id"] for one in document["defects"]], ["gross-1", "gross-2", "gross-3"])
        self.assertTrue(all(one["caught"] for one in document["defects"]))
        self.assertEqual(json.loads((out / "proof.json").read_text()), document)
        again = run(*flags, timeout=60)
        self.assert_refused(again, 64, "--resume")

    def test_a_variant_that_is_wrong_or_not_there_is_refused_before_anything_runs(self):
        self.assert_refused(self.prove("--healthy", "--variant", "block-of-16"), 64, "blocks-of-16")
        good = (SOURCE / "data/variants/blocks-of-16.toml").read_text()
        path = self.write("blocks-of-16.toml", good.replace("block =", "blok ="))
        self.assert_refused(self.prove("--healthy", "--variants", path.parent), 65, "blocks-of-16.toml:7", "block")

    def test_a_healthy_variant_stays_silent(self):
        result = self.prove("--healthy", "--seeds", "1", "--variant", "everything-different", "--format", "json")
        self.assertEqual(result.returncode, 0, result.stdout)
        document = json.loads(result.stdout)
        self.assertEqual([(one["variant"], one["alarms"], one["broken"]) for one in document["healthy"]],
                         [("everything-different", [], [])])

    def test_a_healthy_chip_stays_silent(self):
        result = self.prove("--healthy", "--seeds", "1", "--variants", self.write("none/.keep", "").parent,
                            "--format", "json")
        self.assertEqual(result.returncode, 0, result.stderr)
        document = json.loads(result.stdout)
        self.assertEqual(faults("proof", document), [])
        self.assertEqual([(one["variant"], one["alarms"], one["broken"]) for one in document["healthy"]],
                         [("healthy", [], [])])
        # One silent run of one: the bound is what fails to be refuted at 95 %.
        self.assertAlmostEqual(document["summary"]["false_alarm_share_at_most"], 0.95, places=6)


if __name__ == "__main__":
    unittest.main(verbosity=1)
