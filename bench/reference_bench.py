#!/usr/bin/env python3
"""How fast the operator reference multiplies: fp64 products in the worker, beside this CPU's best.

    bench/reference_bench.py BUILD_DIR        # with a Python that has torch

The best is the fastest fp64 product that torch's BLAS makes here in any of three square sizes. The worker is asked for
the sizes that references have: those of a training step's products, cut as `replay` cuts them.
"""

import pathlib
import sys
import time

import torch

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from ask_worker import Worker  # noqa: E402

REPEATS = 5
SIZES = [(256, 7168, 2112), (512, 7168, 512), (1024, 1024, 1024), (512, 4096, 4096), (2048, 2048, 2048)]


def best_flops():
    """Multiplications and additions a second of the fastest square product."""
    best = 0.0
    for edge in (1024, 2048, 3072):
        left, right = torch.randn(edge, edge, dtype=torch.float64), torch.randn(edge, edge, dtype=torch.float64)
        for _ in range(REPEATS):
            begin = time.perf_counter()
            left @ right
            best = max(best, 2 * edge**3 / (time.perf_counter() - begin))
    return best


def tensor(shape, storage):
    fill = {"family": "normal", "mean": 0.0, "std": 1.0, "low": -6.0, "high": 6.0, "share": 1.0}
    return {"tensor": {"dtype": "fp64", "shape": shape, "strides": [shape[1], 1], "storage_offset": 0,
                       "storage": storage, "fill": fill}}


def main():
    peak = best_flops()
    print(f"best fp64 product here: {peak / 1e9:.1f} GFLOP/s, {torch.get_num_threads()} threads")
    worker = Worker(sys.argv[1])
    for m, k, n in SIZES:
        case = {"schema": "ascertain.case/1", "operator": "aten::mm", "overload": "", "phase": "forward", "module": "",
                "count": 1, "arguments": [tensor([m, k], 0), tensor([k, n], 1)], "cuts": [], "writes": []}
        answer = worker.ask("time", {"case": case, "seed": 1, "repeats": REPEATS, "warm_up": 1})["result"]
        seconds = next(one["value"] for one in answer["observation"] if one["metric"] == "seconds_min")
        rate = 2 * m * n * k / seconds
        print(f"{m:5} x {k:5} x {n:5}: {rate / 1e9:7.1f} GFLOP/s, {rate / peak:5.0%} of the best")
    worker.close()


if __name__ == "__main__":
    main()
