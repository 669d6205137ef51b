"""A person carries a checkpoint here: log-probabilities, and every way in which the folder may be wrong.

The expected numbers come from a model of one layer, written out below in plain Python from its definition
(arXiv 2302.13971 section 2): it shares no code with the product.
"""

import json
import math
import os
import random
import struct
import unittest

from harness import Case, run

HIDDEN, HEADS, HEAD_DIM, INNER, VOCABULARY, EPSILON, THETA = 8, 2, 4, 12, 16, 1e-5, 10000.0

CONFIG = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": VOCABULARY,
          "hidden_size": HIDDEN, "num_hidden_layers": 1, "num_attention_heads": HEADS,
          "num_key_value_heads": 1, "head_dim": HEAD_DIM, "intermediate_size": INNER,
          "rms_norm_eps": EPSILON, "rope_theta": THETA, "max_position_embeddings": 64,
          "hidden_act": "silu", "tie_word_embeddings": False, "torch_dtype": "float32"}

SHAPES = {"model.embed_tokens.weight": [VOCABULARY, HIDDEN],
          "model.layers.0.input_layernorm.weight": [HIDDEN],
          "model.layers.0.self_attn.q_proj.weight": [HEADS * HEAD_DIM, HIDDEN],
          "model.layers.0.self_attn.k_proj.weight": [HEAD_DIM, HIDDEN],
          "model.layers.0.self_attn.v_proj.weight": [HEAD_DIM, HIDDEN],
          "model.layers.0.self_attn.o_proj.weight": [HIDDEN, HEADS * HEAD_DIM],
          "model.layers.0.post_attention_layernorm.weight": [HIDDEN],
          "model.layers.0.mlp.gate_proj.weight": [INNER, HIDDEN],
          "model.layers.0.mlp.up_proj.weight": [INNER, HIDDEN],
          "model.layers.0.mlp.down_proj.weight": [HIDDEN, INNER],
          "model.norm.weight": [HIDDEN],
          "lm_head.weight": [VOCABULARY, HIDDEN]}


def make_weights(seed=1):
    generator = random.Random(seed)
    weights = {}
    for name, shape in SHAPES.items():
        count = math.prod(shape)
        values = [generator.gauss(1.0 if len(shape) == 1 else 0.0, 0.5) for _ in range(count)]
        weights[name] = list(struct.unpack(f"<{count}f", struct.pack(f"<{count}f", *values)))
    return weights


def safetensors(weights):
    header, data = {}, b""
    for name, values in weights.items():
        part = struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": SHAPES.get(name, [len(values)]),
                        "data_offsets": [len(data), len(data) + len(part)]}
        data += part
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def product(weights, name, vector):
    rows, columns = SHAPES[name]
    matrix = weights[name]
    return [sum(matrix[r * columns + c] * vector[c] for c in range(columns)) for r in range(rows)]


def norm(weights, name, vector):
    scale = 1.0 / math.sqrt(sum(x * x for x in vector) / len(vector) + EPSILON)
    return [x * scale * w for x, w in zip(vector, weights[name])]


def turned(vector, position):
    half = HEAD_DIM // 2
    result = [0.0] * HEAD_DIM
    for i in range(half):
        angle = position * THETA ** (-2.0 * i / HEAD_DIM)
        a, b = vector[i], vector[i + half]
        result[i] = a * math.cos(angle) - b * math.sin(angle)
        result[i + half] = b * math.cos(angle) + a * math.sin(angle)
    return result


def expected_logprobs(weights, tokens):
    layer = "model.layers.0."
    keys, values, answer = [], [], []
    for position, token in enumerate(tokens):
        stream = weights["model.embed_tokens.weight"][token * HIDDEN:(token + 1) * HIDDEN]
        normed = norm(weights, layer + "input_layernorm.weight", stream)
        queries = product(weights, layer + "self_attn.q_proj.weight", normed)
        keys.append(turned(product(weights, layer + "self_attn.k_proj.weight", normed), position))
        values.append(product(weights, layer + "self_attn.v_proj.weight", normed))
        mixed = []
        for head in range(HEADS):
            query = turned(queries[head * HEAD_DIM:(head + 1) * HEAD_DIM], position)
            scores = [sum(a * b for a, b in zip(query, key)) / math.sqrt(HEAD_DIM) for key in keys]
            weight = [math.exp(score - max(scores)) for score in scores]
            mixed += [sum(w * v[i] for w, v in zip(weight, values)) / sum(weight)
                      for i in range(HEAD_DIM)]
        stream = [a + b for a, b in zip(stream, product(weights, layer + "self_attn.o_proj.weight", mixed))]
        normed = norm(weights, layer + "post_attention_layernorm.weight", stream)
        gate = product(weights, layer + "mlp.gate_proj.weight", normed)
        up = product(weights, layer + "mlp.up_proj.weight", normed)
        inner = [g / (1.0 + math.exp(-g)) * u for g, u in zip(gate, up)]
        stream = [a + b for a, b in zip(stream, product(weights, layer + "mlp.down_proj.weight", inner))]
        logits = product(weights, "lm_head.weight", norm(weights, "model.norm.weight", stream))
        if position + 1 < len(tokens):
            total = math.log(sum(math.exp(x) for x in logits))
            answer.append(logits[tokens[position + 1]] - total)
    return answer


class Handoff(Case):
    def setUp(self):
        super().setUp()
        self.model = self.folder / "model"
        self.weights = make_weights()
        self.put("config.json", json.dumps(CONFIG).encode())
        self.put("model.safetensors", safetensors(self.weights))
        generator = random.Random(2)
        self.tokens = [[generator.randrange(VOCABULARY) for _ in range(12)] for _ in range(3)]

    def path(self, name):
        return str(self.folder / name)

    def put(self, name, data):
        self.write(f"model/{name}", data)

    def dump(self, *flags, tokens=None):
        with open(self.path("t.json"), "w", encoding="utf-8") as file:
            json.dump(self.tokens if tokens is None else tokens, file)
        if os.path.exists(self.path("l.json")):
            os.remove(self.path("l.json"))
        return run("handoff", "--from", self.model, "--to", "cpu", "--tokens", self.path("t.json"),
                   "--dump", self.path("l.json"), *flags)

    def logprobs(self):
        with open(self.path("l.json"), encoding="utf-8") as file:
            return json.load(file)["logprobs"]

    def refused(self, *words, code=65, tokens=None):
        result = self.dump(tokens=tokens)
        self.assertEqual(result.returncode, code, result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)
        self.assertFalse(os.path.exists(self.path("l.json")))

    def test_log_probabilities_are_those_of_the_definition(self):
        result = self.dump()
        self.assertEqual(result.returncode, 0, result.stderr)
        for row, tokens in zip(self.logprobs(), self.tokens, strict=True):
            for got, wanted in zip(row, expected_logprobs(self.weights, tokens), strict=True):
                self.assertAlmostEqual(got, wanted, delta=1e-5)

    def test_shards_say_what_one_file_says(self):
        self.assertEqual(self.dump().returncode, 0)
        whole = self.logprobs()
        os.remove(os.path.join(self.model, "model.safetensors"))
        names = list(self.weights)
        parts = {"model-00001-of-00002.safetensors": names[:5], "model-00002-of-00002.safetensors": names[5:]}
        index = {}
        for file, inside in parts.items():
            self.put(file, safetensors({name: self.weights[name] for name in inside}))
            index.update({name: file for name in inside})
        self.put("model.safetensors.index.json", json.dumps({"weight_map": index}).encode())
        self.assertEqual(self.dump().returncode, 0)
        self.assertEqual(self.logprobs(), whole)

        os.rename(os.path.join(self.model, "model-00002-of-00002.safetensors"), self.path("away"))
        self.refused("model-00002-of-00002.safetensors", "not there")
        os.rename(self.path("away"), os.path.join(self.model, "model-00002-of-00002.safetensors"))
        index[names[0]] = "model-00002-of-00002.safetensors"
        self.put("model.safetensors.index.json", json.dumps({"weight_map": index}).encode())
        self.refused("model.embed_tokens.weight", "where it is not")

    def test_a_weight_that_is_missing_misshapen_or_not_a_number_is_named(self):
        name = "model.layers.0.mlp.up_proj.weight"
        without = {key: value for key, value in self.weights.items() if key != name}
        self.put("model.safetensors", safetensors(without))
        self.refused(name, "no file holds it")
        self.put("model.safetensors", safetensors({**self.weights, "model.layers.7.extra.weight": [1.0]}))
        self.refused("model.layers.7.extra.weight")
        broken = dict(self.weights)
        broken[name] = [float("nan")] + broken[name][1:]
        self.put("model.safetensors", safetensors(broken))
        self.refused(name, "NaN")
        self.put("model.safetensors", safetensors(self.weights))
        self.put("config.json", json.dumps({**CONFIG, "intermediate_size": 16}).encode())
        self.refused("shape [12, 8]", "[16, 8]")

    def test_a_config_of_another_model_is_named(self):
        for change, words in (({"model_type": "qwen2"}, ("q_proj.bias", "no file holds it")),
                              ({"vocab_size": 20}, ("model.embed_tokens.weight", "[20, 8]")),
                              ({"num_hidden_layers": 2}, ("model.layers.1.", "no file holds it")),
                              ({"model_type": "bert"}, ("unknown model type",))):
            self.put("config.json", json.dumps({**CONFIG, **change}).encode())
            self.refused(*words)

    def test_a_damaged_file_is_refused(self):
        good = safetensors(self.weights)
        for damaged in (b"", good[:4], good[:-1], struct.pack("<Q", 1 << 40) + good[8:],
                        good[:8] + b"!" + good[9:]):
            self.put("model.safetensors", damaged)
            self.refused("model.safetensors")

    def test_tokens_that_do_not_fit_are_named(self):
        self.refused("vocabulary of 16", tokens=[[1, 2, 16]])
        self.refused("not as long", tokens=[[1, 2, 3], [1, 2]])
        self.refused("t.json", tokens=[[1]])
        self.refused("t.json", tokens={"tokens": [[1, 2]]})

    def test_a_folder_without_a_model_says_so(self):
        os.remove(os.path.join(self.model, "model.safetensors"))
        self.refused("neither model.safetensors nor")
        os.remove(os.path.join(self.model, "config.json"))
        result = self.dump()
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("config.json", result.stderr)

    def test_one_flag_without_the_other_is_a_usage_error(self):
        result = run("handoff", "--from", self.model, "--to", "cpu", "--dump", self.path("l.json"))
        self.assertEqual(result.returncode, 64)

    def test_judged_on_a_healthy_device_every_serving_check_passes(self):
        out = self.path("evidence")
        result = run("handoff", "--from", self.model, "--to", "simulated:0", "--out", out)
        with open(os.path.join(out, "verdict.json"), encoding="utf-8") as file:
            verdict = json.load(file)
        # Serving was asked, of this device; nothing else is claimed.
        self.assertEqual(result.returncode, 0, result.stderr + result.stdout)
        self.assertEqual(verdict["verdict"], "QUALIFIED")
        self.assertEqual((verdict["scope"]["part"], verdict["scope"]["devices"]), ("serve", ["simulated:0"]))
        self.assertIn("the serve part alone", result.stdout)
        statuses = {check["id"]: check["status"] for check in verdict["checks"]}
        self.assertEqual(statuses, dict.fromkeys(("handoff.fp32", "handoff.precision", "handoff.rollout_fp32",
                                                  "handoff.rollout"), "PASSED"), result.stderr)
        answered = {name: answer["status"] for name, answer in verdict["questions"].items()}
        self.assertEqual(answered, {"compute": "NOT_ASKED", "endure": "NOT_ASKED", "learn": "NOT_ASKED",
                                    "finish": "NOT_ASKED", "serve": "PASS"})

    def test_a_device_that_computes_wrong_fails_the_handoff(self):
        defect = self.path("defect.toml")
        with open(defect, "w", encoding="utf-8") as file:
            file.write('schema = "ascertain.defect/1"\n[[defect]]\nid = "d"\nsummary = "s"\nsource = "test"\n'
                       '[defect.where]\noperator = "silu"\n[defect.does]\nkind = "scale"\nfactor = 1.02\n')
        out = self.path("evidence")
        result = run("handoff", "--from", self.model, "--to", "simulated:0", "--defects", defect, "--out", out)
        self.assertEqual(result.returncode, 1, result.stderr)
        with open(os.path.join(out, "verdict.json"), encoding="utf-8") as file:
            verdict = json.load(file)
        self.assertEqual(verdict["verdict"], "NOT_QUALIFIED")
        self.assertIn("handoff.fp32", [blocker["check"] for blocker in verdict["blockers"]])


if __name__ == "__main__":
    unittest.main()
