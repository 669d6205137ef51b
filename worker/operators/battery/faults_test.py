"""Every battery finds a fault of its kind on the simulated chip, and nothing on a healthy one.

    python3 worker/operators/battery/faults_test.py BUILD_DIR
"""

import os
import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from ask_worker import Worker  # noqa: E402

BUILD = sys.argv[1]

# One fault per battery; no two on one operator, so that one worker carries them all: its battery, where it
# sits, when it acts, what it does.
FAULTS = [
    ("integer_products", 'operator = "bmm"', "", 'kind = "round_partial_sums"\nchunk = 32'),
    ("shapes", 'operator = "exp"\nlast_dim_multiple_of = 61', "", 'kind = "drop_tail"\nelements = 1'),
    ("layouts", 'operator = "maximum"\nlayout = "transposed"', "", 'kind = "shift_elements"\nby = 1'),
    ("gradients", 'operator = "tanh_backward"\nphase = "backward"', "", 'kind = "scale"\nfactor = 1.02'),
    ("long_sums", 'operator = "mm"\nk_at_least = 16000', "", 'kind = "round_partial_sums"\nchunk = 512'),
    ("attention", 'operator = "*attention*"\nphase = "forward"', "", 'kind = "scale"\nfactor = 1.05'),
    ("special_values", 'operator = "add"\ndtype = "fp16"', "", 'kind = "saturate"\nlimit = 65504.0'),
    ("indices", 'operator = "bincount"', "", 'kind = "zero_output"'),
    ("loss", 'operator = "nll_loss_forward"', "", 'kind = "scale"\nfactor = 1.05'),
    ("optimizer", 'operator = "_fused_adamw"', "after_calls = 40\nevery = 1",
     'kind = "drop_tail"\nelements = 1'),
    ("overflow", 'operator = "_amp_foreach_non_finite_check_and_unscale"', "", 'kind = "scale"\nfactor = 0.0'),
    ("experts", 'operator = "index_copy"', "", 'kind = "shift_elements"\nby = 24'),
    ("random_numbers", 'operator = "uniform"', "", 'kind = "stale_output"'),
    ("every_input", 'operator = "rsqrt"', "", 'kind = "scale"\nfactor = 0.995'),
    ("endurance", 'operator = "_softmax"', "after_calls = 300\nevery = 97", 'kind = "flip_bit"\nbit = 7'),
    ("large", 'operator = "flip"\nelements_at_least = 1000000', "", 'kind = "drop_tail"\nelements = 64'),
    ("timing", 'operator = "sqrt"', "", 'kind = "sleep"\nfor = "30ms"'),
]


def toml(faults):
    text = 'schema = "ascertain.defect/1"\n'
    for battery, where, when, does in faults:
        text += f'\n[[defect]]\nid = "{battery}"\nsummary = "planted"\nsource = "ours"\n'
        text += f"[defect.where]\n{where}\n"
        text += f"[defect.when]\n{when}\n" if when else ""
        text += f"[defect.does]\n{does}\n"
    return text


def ask(worker, battery):
    return ask_as(worker, battery, seed=3, dtype="bf16")


def ask_as(worker, battery, seed, dtype):
    """Whether the criteria of data/criteria/batteries.toml are met, and the answer."""
    answer = worker.ask("numerics", {"battery": battery, "seed": seed, "size": "quick", "dtype": dtype})
    result = answer["result"]
    values = {item["metric"]: item["value"] for item in result["observation"]}
    passes = (values["mismatches"] == 0 and (values["bound_ratio"] or 0) <= 1
              and (values["z_max"] or 0) <= 5.3 and values["raised"] == 0 and values["questions"] >= 1)
    return passes, result


def batteries():
    """The names, as the worker lists them in the order of its table."""
    text = (ROOT / "worker/operators/battery/batteries.cpp").read_text()
    return [line.split('"')[1] for line in text.splitlines() if line.strip().startswith('Battery{"')]


class Faults(unittest.TestCase):
    def start(self, faults):
        os.environ.pop("ASCERTAIN_DEFECTS", None)
        if faults:
            file = tempfile.NamedTemporaryFile("w", suffix=".toml", delete=False)
            self.addCleanup(os.unlink, file.name)
            file.write(toml(faults))
            file.close()
            os.environ["ASCERTAIN_DEFECTS"] = file.name
        worker = Worker(BUILD, device="simulated:0", libraries=["libascertain_simulated.so"])
        self.addCleanup(worker.close)
        self.assertIn("hello", worker.hello, worker.hello)
        return worker

    def test_each_fault_is_found_by_its_battery(self):
        worker = self.start(FAULTS)
        for battery, where, _, does in FAULTS:
            with self.subTest(battery):
                passes, _ = ask(worker, battery)
                self.assertFalse(passes, f"{where} {does}")

    def test_a_healthy_chip_passes_them_all(self):
        worker = self.start([])
        for battery in batteries():
            with self.subTest(battery):
                passes, result = ask(worker, battery)
                self.assertTrue(passes, result["failures"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
