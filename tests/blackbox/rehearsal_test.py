"""A rehearsal on the simulated chip: healthy it passes, armed it fails for the right reason."""

import unittest

from harness import SOURCE, Case, run, verdict_of

EXAMPLES = SOURCE / "data/defects/examples"


class Rehearsal(Case):
    def rehearse(self, *flags):
        """Exit code, and the verdict on ops.numerics.mm of the first simulated device."""
        out = self.folder / "run"
        result = run("qualify", self.campaign(), "--device", "simulated:0", "--only", "ops.numerics.mm",
                     "--only", "device.identity", "--out", out, *flags, timeout=600)
        checks = [c for c in verdict_of(out)["checks"] if c["id"] == "ops.numerics.mm"] if out.exists() else []
        return result, checks[0] if checks else None

    def test_a_healthy_chip_passes_and_qualifies_nothing(self):
        result, check = self.rehearse()
        self.assertEqual(check["status"], "PASSED", check["reason"])
        self.assertEqual(result.returncode, 2, result.stderr)

    def test_partial_sums_in_bf16_are_caught_and_named(self):
        result, check = self.rehearse("--defects", EXAMPLES / "round-partial-sums.toml")
        self.assertEqual(check["status"], "FAILED", check["reason"])
        self.assertIn("share_not_correctly_rounded", check["reason"])
        self.assertEqual(result.returncode, 1, result.stderr)

    def test_defects_need_a_simulated_device(self):
        result = run("qualify", self.campaign(), "--device", "cpu", "--defects", EXAMPLES / "scale.toml",
                     "--out", self.folder / "run")
        self.assert_refused(result, 64, "simulated:0")

    def test_a_wrong_defect_file_is_refused_with_its_place(self):
        text = (EXAMPLES / "scale.toml").read_text().replace('operator = "mm"', 'operater = "mm"')
        path = self.write("wrong.toml", text)
        result = run("qualify", self.campaign(), "--device", "simulated:0", "--defects", path,
                     "--out", self.folder / "run")
        self.assert_refused(result, 69, "wrong.toml:", "operator")

    def test_the_shipped_rehearsals_are_refuted_for_what_was_planted(self):
        for name, check in (("immature-operators", "ops.numerics.mm"), ("unstable-chips", "ops.battery.endurance")):
            out = self.folder / name
            result = run("qualify", SOURCE / f"data/campaigns/rehearsal-{name}.toml", "--only", check,
                         "--out", out, timeout=600)
            self.assertEqual(result.returncode, 1, name + result.stderr)
            blockers = [one["check"] for one in verdict_of(out)["blockers"]]
            self.assertEqual(blockers[0], check, name)


if __name__ == "__main__":
    unittest.main(verbosity=1)
