"""A person asks a server: a sound one, one that gives its numbers in other ways, and every kind of bad one.

The server is ours and computes the model of handoff_test.py from its definition, token by token.
"""

import functools
import http.server
import json
import math
import os
import random
import threading
import time
import unittest

from handoff_test import CONFIG, HEAD_DIM, HEADS, VOCABULARY, make_weights, norm, product, safetensors, turned
from harness import Case, run


class Reader:
    """The model as it reads a text token by token."""

    def __init__(self, weights):
        self.weights, self.keys, self.values = weights, [], []

    def read(self, token):
        """Log-probabilities of what follows."""
        weights, layer, position = self.weights, "model.layers.0.", len(self.keys)
        width = CONFIG["hidden_size"]
        stream = weights["model.embed_tokens.weight"][token * width:(token + 1) * width]
        normed = norm(weights, layer + "input_layernorm.weight", stream)
        queries = product(weights, layer + "self_attn.q_proj.weight", normed)
        self.keys.append(turned(product(weights, layer + "self_attn.k_proj.weight", normed), position))
        self.values.append(product(weights, layer + "self_attn.v_proj.weight", normed))
        mixed = []
        for head in range(HEADS):
            query = turned(queries[head * HEAD_DIM:(head + 1) * HEAD_DIM], position)
            scores = [sum(a * b for a, b in zip(query, key)) / math.sqrt(HEAD_DIM) for key in self.keys]
            top = max(scores)
            shares = [math.exp(score - top) for score in scores]
            total = sum(shares)
            mixed += [sum(s * v[i] for s, v in zip(shares, self.values)) / total for i in range(HEAD_DIM)]
        stream = [a + b for a, b in zip(stream, product(weights, layer + "self_attn.o_proj.weight", mixed))]
        normed = norm(weights, layer + "post_attention_layernorm.weight", stream)
        gate = product(weights, layer + "mlp.gate_proj.weight", normed)
        up = product(weights, layer + "mlp.up_proj.weight", normed)
        inner = [g / (1.0 + math.exp(-g)) * u for g, u in zip(gate, up)]
        stream = [a + b for a, b in zip(stream, product(weights, layer + "mlp.down_proj.weight", inner))]
        logits = product(weights, "lm_head.weight", norm(weights, "model.norm.weight", stream))
        top = max(logits)
        total = top + math.log(sum(math.exp(x - top) for x in logits))
        return [x - total for x in logits]


@functools.lru_cache(maxsize=None)
def scores_of(text):
    reader = Reader(make_weights())
    return [reader.read(token) for token in text]


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def send(self, status, body, length=None):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data) if length is None else length))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.server.keys.add(self.headers.get("Authorization"))
        if self.path == "/v1/models":
            return self.send(200, {"object": "list", "data": [{"id": "ours", "max_model_len": 129}]})
        return self.send(404, {"error": {"message": "no such thing"}})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.keys.add(self.headers.get("Authorization"))
        mode = self.server.mode
        self.server.asked += 1
        if mode == "slow":
            time.sleep(3.0)
        if mode == "busy once" and self.server.asked == 1:
            return self.send(503, {"error": {"message": "busy"}})
        if mode == "down":
            return self.send(500, {"error": {"message": "the engine is dead"}})
        if mode == "no key":
            return self.send(401, {"error": {"message": "no key"}})
        if mode == "no JSON":
            return self.send(200, b"<html>it works</html>")
        if mode == "floods":
            return self.send(200, b" " * (70 << 20))
        choices = [self.choice(i, prompt, asked) for i, prompt in enumerate(asked["prompt"])]
        if mode == "a choice too few":
            choices.pop()
        data = json.dumps({"object": "text_completion", "model": "ours", "choices": choices}).encode()
        if mode == "ends early":
            self.send(200, data[:len(data) // 2], length=len(data))
            return self.connection.close()
        return self.send(200, data)

    def choice(self, index, prompt, asked):
        mode, choice = self.server.mode, {"index": index, "text": ""}
        places = scores_of(tuple(prompt))
        if asked.get("prompt_logprobs") is not None and mode not in ("echoes", "only writes"):
            entries = [None]
            for token, scores in zip(prompt[1:], places):
                best = max(range(VOCABULARY), key=scores.__getitem__)
                entries.append({str(t): {"logprob": self.spoilt(scores[t]), "rank": 1 if t == best else 2}
                                for t in {token, best}})
            if mode == "another length":
                entries.pop()
            if mode == "another vocabulary":
                entries[1] = {"9999": {"logprob": -1.0, "rank": 1}}
            choice["prompt_logprobs"] = entries
        elif asked.get("echo") and mode != "only writes":
            numbers = [None] + [scores[token] for token, scores in zip(prompt[1:], places)]
            choice["logprobs"] = {"token_logprobs": numbers + [-1.0], "tokens": ["?"] * (len(prompt) + 1)}
        elif asked.get("logprobs") is not None:
            choice["logprobs"] = self.write(index, prompt, asked)
        return choice

    def write(self, index, prompt, asked):
        draw = random.Random(f"{asked.get('seed')} {prompt} {index}")
        reader, tokens, numbers = Reader(make_weights()), [], []
        for token in prompt:
            scores = reader.read(token)
        for _ in range(asked["max_tokens"]):
            if asked["temperature"] == 0:
                token = max(range(VOCABULARY), key=scores.__getitem__)
            else:
                token = draw.choices(range(VOCABULARY), [math.exp(x) for x in scores])[0]
            tokens.append(f"token_id:{token}")
            numbers.append(self.spoilt(scores[token]))
            scores = reader.read(token)
        return {"token_logprobs": numbers, "tokens": tokens}

    def spoilt(self, number):
        return {"not a number": float("nan"), "null": None, "above zero": 0.5,
                "other weights": number * 1.2}.get(self.server.mode, number)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Who is hung up on says nothing: it is asked for here."""


class Endpoint(Case):
    def setUp(self):
        super().setUp()
        self.write("model/config.json", json.dumps({**CONFIG, "max_position_embeddings": 128}).encode())
        self.write("model/model.safetensors", safetensors(make_weights()))
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.mode, self.server.asked, self.server.keys = "good", 0, set()
        thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def handoff(self, mode, *flags, key=None):
        self.server.mode, self.server.asked = mode, 0
        out = self.folder / f"evidence-{mode}".replace(" ", "-")
        address = f"http://127.0.0.1:{self.server.server_port}/v1"
        environment = {"ASCERTAIN_ENDPOINT_TIMEOUT_S": "0.5" if mode == "slow" else "60",
                       "ASCERTAIN_API_KEY": key or "", "OPENAI_API_KEY": ""}
        result = run("handoff", "--from", self.folder / "model", "--to", address, "--dtype", "fp32",
                     "--profile", "quick", "--out", out, *flags, environment=environment)
        path = out / "verdict.json"
        return result, json.loads(path.read_text()) if path.exists() else None

    def test_a_sound_server_passes_in_whichever_way_it_gives_its_numbers(self):
        for mode in ("good", "echoes", "only writes", "busy once"):
            with self.subTest(mode):
                result, verdict = self.handoff(mode)
                statuses = {check["id"]: check["status"] for check in verdict["checks"]}
                self.assertEqual(statuses, {"handoff.endpoint": "PASSED", "handoff.rollout": "PASSED"},
                                 [check["reason"] for check in verdict["checks"]])
                # A screening says no more, and only that keeps it from more.
                self.assertEqual(result.returncode, 2, result.stderr)
                self.assertEqual([blocker["check"] for blocker in verdict["blockers"]], ["profile"])
                self.assertEqual(verdict["scope"]["part"], "serve")
                values = {m["metric"]: m["value"] for m in verdict["checks"][0]["observation"]}
                self.assertLess(values["logprob_error_mean"], 1e-5)
                self.assertIsNone(values["likeliest_disagreement"] if mode in ("echoes", "only writes") else None)

    def test_other_weights_are_not_qualified(self):
        result, verdict = self.handoff("other weights")
        self.assertEqual(result.returncode, 1, result.stderr)
        failed = {check["id"]: check["status"] for check in verdict["checks"]}
        self.assertEqual(failed, {"handoff.endpoint": "FAILED", "handoff.rollout": "FAILED"})

    def test_every_bad_server_is_named_for_what_it_does_and_none_passes(self):
        expected = {"slow": "no whole answer within 0.5 s", "down": "the engine is dead",
                    "no key": "set ASCERTAIN_API_KEY", "no JSON": "not the JSON of a completion",
                    "floods": "more than 67 MB", "ends early": "tried",
                    "another length": "tokens of a text of", "another vocabulary": "another vocabulary",
                    "a choice too few": "choices", "not a number": "not the JSON",
                    "null": "no finite log-probability", "above zero": "above zero"}
        for mode, words in expected.items():
            with self.subTest(mode):
                result, verdict = self.handoff(mode)
                self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
                self.assertEqual(verdict["verdict"], "NOT_QUALIFIED")
                endpoint = next(check for check in verdict["checks"] if check["id"] == "handoff.endpoint")
                self.assertIn(words, endpoint["reason"])

    def test_the_key_reaches_the_server_and_nothing_else(self):
        result, _ = self.handoff("good", key="sk-not-for-evidence")
        self.assertEqual(self.server.keys - {None}, {"Bearer sk-not-for-evidence"})
        self.assertNotIn("sk-not-for-evidence", result.stdout + result.stderr)
        for path in (self.folder / "evidence-good").rglob("*"):
            if path.is_file():
                self.assertNotIn(b"sk-not-for-evidence", path.read_bytes(), path)

    def test_log_probabilities_of_given_tokens_are_written_down(self):
        tokens = [[1, 2, 3, 4], [5, 6, 7, 8]]
        given, written = self.write("t.json", json.dumps(tokens)), self.folder / "l.json"
        result, _ = self.handoff("good", "--tokens", given, "--dump", written)
        self.assertEqual(result.returncode, 0, result.stderr)
        for row, text in zip(json.loads(written.read_text())["logprobs"], tokens, strict=True):
            for number, token, scores in zip(row, text[1:], scores_of(tuple(text))):
                self.assertAlmostEqual(number, scores[token], delta=1e-9)
        os.remove(written)
        result, _ = self.handoff("only writes", "--tokens", given, "--dump", written)
        self.assertEqual(result.returncode, 65, result.stderr)
        self.assertIn("scores no text that it is handed", result.stderr)

    def test_an_address_that_may_hold_a_secret_or_answers_nothing_is_refused(self):
        model = self.folder / "model"
        result = run("handoff", "--from", model, "--to", "http://me:hunter2@127.0.0.1:1/v1")
        self.assert_refused(result, 64, "ASCERTAIN_API_KEY")
        self.assertNotIn("hunter2", result.stderr)
        result = run("handoff", "--from", model, "--to", "http://127.0.0.1:1/v1?key=hunter2")
        self.assert_refused(result, 64, "carries a query")
        self.assertNotIn("hunter2", result.stderr)
        result = run("handoff", "--from", model, "--to", "http://127.0.0.1:1/v1")
        self.assert_refused(result, 69, "http://127.0.0.1:1/v1", "tried 4 times")


if __name__ == "__main__":
    unittest.main()
