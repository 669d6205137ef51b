"""No battery calls a legal arithmetic wrong: the CPU through all the kernels that it has, over 200 runs.

    python3 worker/operators/battery/legal_test.py BUILD_DIR

A run is one battery in one process. The kernels are chosen by what torch, oneDNN, MKL and OpenMP read from the
environment: other vector widths, other orders of summation, other libraries, other numbers of threads.
"""

import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from faults_test import BUILD, Worker, ask_as, batteries  # noqa: E402

VARIANTS = {
    "as it comes": {},
    "scalar kernels": {"ATEN_CPU_CAPABILITY": "default"},
    "AVX2 kernels": {"ATEN_CPU_CAPABILITY": "avx2"},
    "oneDNN without AVX-512": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    "oneDNN with SSE 4.1": {"ONEDNN_MAX_CPU_ISA": "SSE41"},
    "oneDNN without matrix units": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
    "MKL in compatible order": {"MKL_CBWR": "COMPATIBLE"},
    "four threads": {"OMP_NUM_THREADS": "4"},
    "one thread": {"OMP_NUM_THREADS": "1"},
    "four threads, scalar": {"OMP_NUM_THREADS": "4", "ATEN_CPU_CAPABILITY": "default"},
    "simulated": {"device": "simulated:0"},
}


class Legal(unittest.TestCase):
    def test_no_alarm_in_any_variant(self):
        runs = 0
        for number, (name, settings) in enumerate(VARIANTS.items()):
            environment = {key: value for key, value in settings.items() if key != "device"}
            before = {key: os.environ.get(key) for key in environment}
            os.environ.update(environment)
            device = settings.get("device", "cpu")
            libraries = ["libascertain_simulated.so"] if device != "cpu" else []
            worker = Worker(BUILD, device=device, libraries=libraries)
            for battery in batteries():
                for dtype in ("bf16", "fp16") if number < 3 else ("bf16",):
                    with self.subTest(f"{battery} {dtype}, {name}"):
                        passes, result = ask_as(worker, battery, seed=100 + number, dtype=dtype)
                        runs += 1
                        self.assertTrue(passes, result["failures"])
            worker.close()
            for key, value in before.items():
                os.environ.pop(key) if value is None else os.environ.update({key: value})
        self.assertGreaterEqual(runs, 200)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
