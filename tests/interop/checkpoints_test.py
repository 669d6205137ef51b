"""Hugging Face `transformers` and we read each other's checkpoints, for every family that both know.

Skipped, and says so, where `transformers` is not installed; ASCERTAIN_INTEROP_PACKAGES names a folder that holds it
(pip install --target FOLDER transformers safetensors).
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = os.environ["ASCERTAIN_SOURCE"]
sys.path[:0] = [os.environ.get("ASCERTAIN_INTEROP_PACKAGES", ""), SOURCE + "/tools"]
from ask_worker import Worker  # noqa: E402

try:
    import torch
    import transformers
except ImportError as missing:
    transformers, WHY = None, f"{missing}; name a folder that holds it in ASCERTAIN_INTEROP_PACKAGES"
else:
    WHY = ""

ASCERTAIN = os.environ["ASCERTAIN"]
ATOL = 1e-4  # of a log-probability: what the handoff allows two fp32 arithmetics

COMMON = dict(vocab_size=96, max_position_embeddings=64, bos_token_id=None, eos_token_id=None, pad_token_id=None,
              initializer_range=0.2)
GQA = dict(COMMON, hidden_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
           intermediate_size=80, tie_word_embeddings=False)
MLA = dict(COMMON, hidden_size=48, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=4,
           intermediate_size=80, moe_intermediate_size=32, n_routed_experts=4, n_shared_experts=1,
           num_experts_per_tok=2, n_group=1, topk_group=1, first_k_dense_replace=1, kv_lora_rank=32, q_lora_rank=24,
           qk_nope_head_dim=16, qk_rope_head_dim=16, v_head_dim=24, head_dim=16, tie_word_embeddings=False)
FAMILIES = {
    "llama": ("LlamaConfig", dict(GQA, head_dim=12)),
    "llama_biased": ("LlamaConfig", dict(GQA, attention_bias=True, mlp_bias=True, tie_word_embeddings=True)),
    "qwen2": ("Qwen2Config", GQA),
    "qwen3": ("Qwen3Config", dict(GQA, head_dim=16)),
    "qwen3_moe": ("Qwen3MoeConfig", dict(GQA, head_dim=16, num_experts=4, num_experts_per_tok=2,
                                         moe_intermediate_size=32, norm_topk_prob=True)),
    "mixtral": ("MixtralConfig", dict(GQA, num_local_experts=4, num_experts_per_tok=2)),
    "deepseek_v2": ("DeepseekV2Config", dict(MLA, topk_method="greedy", routed_scaling_factor=1.0)),
    "deepseek_v3": ("DeepseekV3Config", dict(MLA, norm_topk_prob=True, routed_scaling_factor=2.5)),
    "gpt2": ("GPT2Config", dict(vocab_size=96, n_positions=64, n_embd=48, n_layer=2, n_head=4, initializer_range=0.2,
                                bos_token_id=None, eos_token_id=None, pad_token_id=None)),
}


def ask(request, params):
    """One request to a worker on the CPU."""
    worker = Worker(os.environ["ASCERTAIN_BUILD"], host="executable")
    try:
        return worker.ask(request, params)
    finally:
        worker.close()


@unittest.skipIf(transformers is None, WHY)
class Transformers(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ascertain-interop-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def model_of(self, name):
        config_class, values = FAMILIES[name]
        torch.manual_seed(7)
        model = transformers.AutoModelForCausalLM.from_config(getattr(transformers, config_class)(**values))
        with torch.no_grad():
            for key, value in model.named_parameters():
                if key.endswith("bias") or "norm" in key:
                    value.add_(0.2 * torch.randn_like(value))  # nothing at its neutral value
            for key, value in model.named_buffers():
                if key.endswith("e_score_correction_bias"):
                    value.copy_(0.1 * torch.randn_like(value))
        return model.float().eval()

    def dump(self, folder, tokens):
        given, written = self.folder / "t.json", self.folder / "l.json"
        given.write_text(json.dumps(tokens.tolist()))
        result = subprocess.run([ASCERTAIN, "handoff", "--from", folder, "--to", "cpu", "--tokens", given, "--dump",
                                 written], env={**os.environ, "ASCERTAIN_HOME": SOURCE}, text=True, capture_output=True)
        self.assertEqual(result.returncode, 0, result.stderr)
        return torch.tensor(json.loads(written.read_text())["logprobs"], dtype=torch.float64)

    @staticmethod
    def logprobs(model, tokens):
        with torch.no_grad():
            scores = model(tokens).logits.double().log_softmax(-1)
        return scores[:, :-1].gather(2, tokens[:, 1:, None])[..., 0]

    def test_both_directions_for_every_family(self):
        for name in FAMILIES:
            with self.subTest(name):
                model = self.model_of(name)
                tokens = torch.randint(0, 96, (4, 48), generator=torch.Generator().manual_seed(3))
                expected = self.logprobs(model, tokens)
                # Half of them in shards with an index.
                sharded = {"max_shard_size": "40KB"} if len(name) % 2 else {}
                saved = self.folder / name
                model.save_pretrained(saved, **sharded)
                self.assertEqual((saved / "model.safetensors.index.json").exists(), bool(sharded))
                ours = self.dump(saved, tokens)
                self.assertLess((ours - expected).abs().max().item(), ATOL, "what it saves, read by us")
                back = self.folder / f"{name}-back"
                answer = ask("publish", {"weights": {"folder": str(saved)}, "folder": str(back), "dtype": "fp32",
                                         "shard_bytes": 40_000 if sharded else 1 << 40})
                self.assertIn("result", answer, answer)
                loaded, report = transformers.AutoModelForCausalLM.from_pretrained(
                    back, output_loading_info=True, dtype=torch.float32)
                self.assertFalse(report["missing_keys"], report)
                self.assertFalse(report["unexpected_keys"], report)
                theirs = self.logprobs(loaded.eval(), tokens)
                self.assertLess((theirs - expected).abs().max().item(), 1e-6, "what we save, read by it")
                transformers.GenerationConfig.from_pretrained(back)


if __name__ == "__main__":
    unittest.main()
