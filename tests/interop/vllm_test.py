"""A real vLLM serves a model of ours, and the handoff judges it.

Skipped, and says so, unless ASCERTAIN_VLLM names the `vllm` of an environment (docs/handoff.md has the recipe). It starts a
server for each precision, about half a minute each.
"""

import json
import math
import os
import pathlib
import random
import shutil
import socket
import struct
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request

VLLM = os.environ.get("ASCERTAIN_VLLM", "")
START_S = 300.0

# Its CPU attention takes heads of 64.
CONFIG = {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "vocab_size": 256, "hidden_size": 64,
          "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 64,
          "intermediate_size": 128, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "max_position_embeddings": 256,
          "hidden_act": "silu", "tie_word_embeddings": False, "dtype": "float32", "eos_token_id": 0}


def shapes():
    hidden, vocabulary, inner = CONFIG["hidden_size"], CONFIG["vocab_size"], CONFIG["intermediate_size"]
    yield "model.embed_tokens.weight", [vocabulary, hidden]
    for layer in range(CONFIG["num_hidden_layers"]):
        place = f"model.layers.{layer}."
        yield place + "input_layernorm.weight", [hidden]
        yield place + "post_attention_layernorm.weight", [hidden]
        for name, rows, columns in (("q_proj", 128, hidden), ("k_proj", 64, hidden), ("v_proj", 64, hidden),
                                    ("o_proj", hidden, 128)):
            yield f"{place}self_attn.{name}.weight", [rows, columns]
        yield place + "self_attn.q_norm.weight", [64]
        yield place + "self_attn.k_norm.weight", [64]
        yield place + "mlp.gate_proj.weight", [inner, hidden]
        yield place + "mlp.up_proj.weight", [inner, hidden]
        yield place + "mlp.down_proj.weight", [hidden, inner]
    yield "model.norm.weight", [hidden]
    yield "lm_head.weight", [vocabulary, hidden]


def write_model(folder, seed):
    """A model of random weights whose log-probabilities have a trained one's spread, and a tokenizer of words."""
    folder.mkdir()
    draw, header, data = random.Random(seed), {}, b""
    for name, shape in shapes():
        count = math.prod(shape)
        sharp = 3.0 if name == "model.norm.weight" else 1.0
        values = [sharp * draw.gauss(1.0, 0.1) if len(shape) == 1 else draw.gauss(0.0, shape[-1] ** -0.5)
                  for _ in range(count)]
        part = struct.pack(f"<{count}f", *values)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(part)]}
        data += part
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    words = {f"t{i}": i for i in range(CONFIG["vocab_size"])}
    (folder / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None,
        "model": {"type": "WordLevel", "vocab": words, "unk_token": "t1"}}))
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "t1", "eos_token": "t0"}))
    return folder


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Served:
    """vLLM as long as the block lasts."""

    def __init__(self, model, dtype, log):
        self.port = free_port()
        environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1",
                       "OMP_NUM_THREADS": "2", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
        self.log = open(log, "wb")
        self.process = subprocess.Popen(
            [VLLM, "serve", model, "--dtype", dtype, "--max-model-len", "256", "--host", "127.0.0.1", "--port",
             str(self.port), "--enforce-eager"], env=environment, stdout=self.log, stderr=subprocess.STDOUT,
            start_new_session=True)

    def __enter__(self):
        end = time.monotonic() + START_S
        while time.monotonic() < end and self.process.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v1/models", timeout=5).read()
                return self
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.5)
        self.__exit__()
        raise AssertionError(pathlib.Path(self.log.name).read_text(errors="replace")[-2000:])

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


@unittest.skipUnless(VLLM, "vLLM is not installed, or ASCERTAIN_VLLM does not name it")
class Vllm(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ascertain-vllm-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.model = write_model(self.folder / "model", 1)

    def handoff(self, model, server, dtype, name):
        out = self.folder / name
        result = subprocess.run(
            [os.environ["ASCERTAIN"], "handoff", "--from", model, "--to", f"http://127.0.0.1:{server.port}/v1", "--dtype",
             dtype, "--out", out], env={**os.environ, "ASCERTAIN_HOME": os.environ["ASCERTAIN_SOURCE"]}, text=True,
            capture_output=True)
        verdict = json.loads((out / "verdict.json").read_text())
        values = {check["id"]: {m["metric"]: m["value"] for m in check["observation"]} for check in verdict["checks"]}
        print(name, json.dumps(values["handoff.endpoint"]), json.dumps(values["handoff.rollout"]), flush=True)
        return result, verdict, values

    def test_fp32_says_what_the_reference_says_and_other_weights_do_not(self):
        with Served(self.model, "float32", self.folder / "fp32.log") as server:
            result, verdict, values = self.handoff(self.model, server, "fp32", "fp32")
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
            self.assertEqual((verdict["verdict"], verdict["scope"]["part"]), ("QUALIFIED", "serve"))
            self.assertLess(values["handoff.endpoint"]["logprob_error_max"], 1e-4)
            self.assertLess(values["handoff.rollout"]["rollout_error_max"], 1e-4)
            other = write_model(self.folder / "other", 2)
            result, verdict, _ = self.handoff(other, server, "fp32", "other")
            self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
            self.assertEqual({check["status"] for check in verdict["checks"]}, {"FAILED"})

    def test_bf16_lies_within_the_band_of_its_precision(self):
        with Served(self.model, "bfloat16", self.folder / "bf16.log") as server:
            result, _, values = self.handoff(self.model, server, "bf16", "bf16")
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
            self.assertGreater(values["handoff.endpoint"]["logprob_error_mean"], 1e-4)
            # The same server taken for an fp32 one is far outside what fp32 allows.
            result, _, _ = self.handoff(self.model, server, "fp32", "bf16-as-fp32")
            self.assertEqual(result.returncode, 1, result.stdout + result.stderr)


if __name__ == "__main__":
    unittest.main()
