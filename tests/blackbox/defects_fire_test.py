"""Every catalogued defect of a chip, its memory, its runtime, a trainer or a sampler acts when it should.

One worker per defect, armed with it alone, does what checks do until the defect has acted: a forced
comparison of small models in every precision, a little training with both later stages, and calls of
operators that those models do not make. An entry that never acts is wrong.
"""
import contextlib
import json
import os
import pathlib
import re
import sys
import tempfile
import threading
import time
import tomllib
import unittest

from harness import BUILD, SOURCE

sys.path.insert(0, str(SOURCE / "tools"))
from ask_worker import Worker  # noqa: E402

FOLDER = SOURCE / "data/defects"
DEADLINE_S = 120.0  # of one defect
# No collective runs and no months pass in a worker.
ELSEWHERE = {"fabric", "site"}
# Acts while a checkpoint is written: worker/training/checkpoint_test.cpp.
CHECKPOINT = {"checkpoint"}


def architecture(kind):
    """The trial's small models: "dense" (Qwen3-like), "deepseek" (V3-like) or "gpt2"."""
    made = {
        "schema": "ascertain.architecture/1", "name": kind, "family": "qwen3", "vocab_size": 32, "hidden_size": 96,
        "layers": [{"kind": "dense", "count": 3}],
        "attention": {"kind": "gqa", "heads": 4, "kv_heads": 2, "head_dim": 24, "q_lora_rank": 0, "kv_lora_rank": 0,
                      "qk_nope_head_dim": 0, "qk_rope_head_dim": 0, "v_head_dim": 24, "qk_norm": True,
                      "qkv_bias": False, "output_bias": False, "sliding_window": 0, "dropout": 0.0},
        "mlp": {"kind": "swiglu", "intermediate_size": 256, "bias": False},
        "moe": {"experts": 0, "local_experts": 0, "topk": 0, "expert_intermediate_size": 0, "shared_experts": 0,
                "shared_intermediate_size": 0, "router": "softmax", "normalise_topk": False, "scaling_factor": 1.0,
                "groups": 1, "topk_groups": 1, "bias_balancing": False, "auxiliary_loss_coefficient": 0.0},
        "norm": {"kind": "rms", "epsilon": 1e-6, "sandwich": False},
        "position": {"kind": "rope", "length_max": 256, "theta": 10000.0, "interleaved": False,
                     "scaling": {"kind": "none", "factor": 1.0, "original_length_max": 0, "beta_fast": 32.0,
                                 "beta_slow": 1.0, "mscale": 0.0, "mscale_all_dim": 0.0, "attention_factor": 0.0,
                                 "low_frequency_factor": 1.0, "high_frequency_factor": 4.0}},
        "tied_embeddings": False, "mtp_layers": 0, "hidden_dropout": 0.0, "embedding_dropout": 0.0,
        "initializer_range": 0.02, "dtype": "bf16",
        "quantisation": {"method": "", "block_rows": 0, "block_columns": 0}}
    if kind == "deepseek":
        made.update(family="deepseek_v3", mtp_layers=1,
                    layers=[{"kind": "dense", "count": 1}, {"kind": "moe", "count": 2}])
        made["attention"].update(kind="mla", kv_heads=4, head_dim=32, q_lora_rank=48, kv_lora_rank=32,
                                 qk_nope_head_dim=16, qk_rope_head_dim=16, qk_norm=False)
        made["moe"].update(experts=4, local_experts=4, topk=2, expert_intermediate_size=64, shared_experts=1,
                           shared_intermediate_size=64, router="sigmoid", normalise_topk=True, bias_balancing=True)
        made["position"]["interleaved"] = True
    if kind == "gpt2":
        made.update(family="gpt2", tied_embeddings=True)
        made["attention"].update(kv_heads=4, qk_norm=False, qkv_bias=True, output_bias=True)
        made["mlp"].update(kind="gelu_tanh", bias=True)
        made["norm"]["kind"] = "layer"
        made["position"]["kind"] = "learned"
    return made


def tensor(shape, dtype="fp32", family="normal", strides=None, offset=0, low=-2.0, high=2.0):
    packed = [1] * len(shape)
    for axis in reversed(range(len(shape) - 1)):
        packed[axis] = packed[axis + 1] * shape[axis + 1]
    return {"dtype": dtype, "shape": shape, "strides": strides or packed, "storage_offset": offset, "storage": 0,
            "fill": {"family": family, "mean": 0.0, "std": max(1.0, high / 3.0), "low": low, "high": high, "share": 0.5}}


def call(operator, *arguments, overload="", phase="forward", writes=()):
    """A request for one call: tensors, lists of them, arguments as a case has them, numbers, or None."""
    values, storage = [], 0
    for argument in arguments:
        if isinstance(argument, dict) and "dtype" in argument:
            argument["storage"] = storage
            storage += 1
            values.append({"tensor": argument})
        elif isinstance(argument, dict):
            values.append(argument)
        elif isinstance(argument, list) and isinstance(argument[0], dict):
            for one in argument:
                one["storage"] = storage
                storage += 1
            values.append({"tensors": argument})
        elif argument is None:
            values.append({"none": True})
        elif isinstance(argument, list):
            values.append({"integers": argument})
        else:
            values.append({"scalar": argument})
    case = {"schema": "ascertain.case/1", "operator": f"aten::{operator}", "overload": overload,
            "phase": phase, "module": "", "arguments": values, "cuts": [], "writes": list(writes), "count": 1}
    # What draws random numbers has no reference and is only timed, that is called again and again.
    if {"generator": True} in values:
        return ("time", {"case": case, "seed": 1, "repeats": 5, "warm_up": 1})
    return ("replay", {"case": case, "seed": 1})


RECIPE = {"batch_sequences": 16, "sequence_length": 64}


def forced(kind, dtype):
    return ("teacher_force", {"architecture": architecture(kind), "recipe": RECIPE, "steps": [0, 2], "batches": 2,
                              "dtype": dtype, "seed": 1})


def trained(kind, dtype, steps):
    recipe = {**RECIPE, "sft_steps": 2, "grpo_updates": 2, "accuracy_problems": 100}
    return ("train", {"architecture": architecture(kind), "recipe": recipe, "steps": steps, "dtype": dtype, "seed": 1,
                      "where": "device", "perturb": 0.0, "held_out_batches": 1})


WORK = [forced("deepseek", "bf16"), forced("gpt2", "fp16"), forced("dense", "fp32"), forced("deepseek", "fp16"),
        trained("deepseek", "bf16", 30)]
HALF = {"low": -900.0, "high": 900.0}
OTHER_CALLS = [
    call("addmm", tensor([64, 96]), tensor([64, 64]), tensor([64, 96]), 2, 3),
    call("linalg_vector_norm", tensor([64, 64]), "inf", None, False, None),
    call("scatter_reduce", tensor([8, 4]), 0, tensor([64, 4], "int64", "index", low=0, high=7), tensor([64, 4]),
         {"text": "amax"}, True, overload="two"),
    call("any", tensor([64, 8], "bool", "mask", low=0, high=1)),
    call("native_dropout_backward", tensor([64, 64]), tensor([64, 64], "bool", "mask", low=0, high=1), 1.0,
         phase="backward"),
    call("native_dropout_backward", tensor([64, 64]), tensor([64, 64], "bool", "mask", low=0, high=1), 1.25,
         phase="backward"),
    call("bernoulli_", tensor([64, 64]), 0.5, {"generator": True}, overload="float", writes=["self"]),
    call("random_", tensor([64, 64], "int64", "integers"), {"generator": True}, writes=["self"]),
    call("add_", tensor([64, 96], strides=[1, 64]), tensor([64, 96]), 1, overload="Tensor", writes=["self"]),
    call("mul", tensor([64, 96], offset=1), tensor([64, 96]), overload="Tensor"),
    call("mul", tensor([64, 96], "bf16"), tensor([64, 96]), overload="Tensor"),
    call("index", tensor([64, 96]), [tensor([32], "int64", "integers", low=-8, high=-1)], overload="Tensor"),
    call("copy_", tensor([64, 96], "fp8_e4m3"), tensor([64, 96]), False, writes=["self"]),
    call("_scaled_dot_product_flash_attention_for_cpu", *(tensor([2, 4, 32, 32], "fp16", **HALF) for _ in range(3)),
         0.0, False, None, None),
    call("_softmax", tensor([64, 96], **HALF), -1, False),
    call("_log_softmax", tensor([64, 96], **HALF), -1, False),
    call("silu_backward", tensor([64, 96]), tensor([64, 96], **HALF), phase="backward"),
]


class DefectsFire(unittest.TestCase):
    def test_every_entry_acts(self):
        idle = []
        only = os.environ.get("ONLY", "*").split(",")
        for path, block in blocks():
            entry = tomllib.loads(HEAD + block)["defect"][0]
            if "not_expressible" in entry or entry["plane"] in ELSEWHERE | CHECKPOINT:
                continue
            if only != ["*"] and entry["id"] not in only:
                continue
            report = exercise(block)
            if os.environ.get("VERBOSE"):
                print(entry["id"], report, flush=True)
            if report["fired"] == 0:
                idle.append(f"{path.name}: {entry['id']}: {report}")
        self.assertEqual(idle, [])


HEAD = 'schema = "ascertain.defect/1"\n'


def blocks():
    """(file, text of one defect) of the whole catalogue."""
    found = []
    for path in sorted(FOLDER.glob("*.toml")):
        parts = re.split(r"(?m)^(?=\[\[defect\]\]$)", path.read_text())
        found += [(path, part) for part in parts[1:]]
    return found


def exercise(block):
    """Works until the defect has acted, and tells how often it matched and acted."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "one.toml"
        counts = pathlib.Path(folder) / "counts.txt"
        file.write_text(HEAD + block)
        os.environ.update(ASCERTAIN_DEFECTS=str(file), ASCERTAIN_DEFECTS_COUNTS=str(counts))
        worker = Worker(BUILD, device="simulated:0", libraries=["libascertain_simulated.so"])
        if "refused" in (worker.hello or {"refused": {"message": "it died at once"}}):
            worker.process.kill()
            return {"matched": 0, "fired": 0, "refused": worker.hello["refused"]["message"]}
        over = threading.Event()
        watch = threading.Thread(target=kill_when_acted, args=(worker, counts, over))
        watch.start()
        done = 0
        with contextlib.suppress(ConnectionError):
            for name, params in WORK + OTHER_CALLS:
                if worker.ask(name, params) is None:
                    break
                done += 1
        over.set()
        watch.join()
        worker.process.kill()
        worker.process.wait()
        return {"matched": total(counts, 1), "fired": fired(counts), "requests_done": done}


def kill_when_acted(worker, counts, over):
    """A defect that has acted has shown what is asked here; one that hangs would never end."""
    deadline = time.monotonic() + DEADLINE_S
    while not over.wait(0.1):
        if fired(counts) > 0 or time.monotonic() > deadline:
            worker.process.kill()
            return


def total(counts, column):
    lines = counts.read_text().splitlines() if counts.exists() else []
    return sum(int(line.split()[column]) for line in lines if line.strip())


def fired(counts):
    return total(counts, 2)


if __name__ == "__main__":
    unittest.main(verbosity=1)
