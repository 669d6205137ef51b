"""Faults that change no number which is compared with the reference: only repeated work shows them."""

import json
import unittest

from harness import Case, run
from prove_test import HEADER, defect


class ProveSoak(Case):
    def test_a_leak_and_a_single_flipped_weight_are_caught_by_the_soak(self):
        path = self.write("memory.toml", HEADER
                          + defect("leak", 'operator = "_fused_adamw_"', 'kind = "leak_memory"\nbytes = 1048576')
                          + defect("flip", 'point = "optimizer"', 'kind = "flip_bit"\nbit = 3',
                                   "[defect.when]\nafter_calls = 3\ntimes = 1"))
        result = run("prove", "--profile", "quick", "--defects", path, "--only", "*", "--format", "json", timeout=900)
        self.assertEqual(result.returncode, 0, result.stderr)
        for one in json.loads(result.stdout)["defects"]:
            self.assertTrue(one["caught"], one)
            self.assertEqual([failed["check"].split(".")[0] for failed in one["caught_by"]], ["soak"], one)


if __name__ == "__main__":
    unittest.main(verbosity=1)
