"""Hostile, broken and absurd files: one clear error each, the right exit code, no half-written verdict."""

import json
import os
import subprocess
import unittest

from harness import BUILD, SOURCE, Case, run


class BadInput(Case):
    def qualify(self, campaign, *flags, **options):
        return run("qualify", campaign, "--out", self.folder / "run", *flags, **options)

    def no_verdict(self):
        self.assertFalse((self.folder / "run" / "verdict.json").exists())

    def test_missing_campaign(self):
        self.assert_refused(self.qualify(self.folder / "none.toml"), 65, "none.toml", "no such file")
        self.no_verdict()

    def test_campaign_is_a_folder(self):
        self.assert_refused(self.qualify(self.folder), 65, "folder")

    def test_empty_truncated_and_binary_campaigns(self):
        self.assert_refused(self.qualify(self.write("e.toml", "")), 65, "e.toml:1:1", "empty")
        text = self.campaign().read_text()
        self.assert_refused(self.qualify(self.write("t.toml", text[:200])), 65, "t.toml:")
        self.assert_refused(self.qualify(self.write("b.toml", bytes(range(256)) * 4)), 65, "b.toml:1:")
        self.no_verdict()

    def test_huge_campaign_is_refused_before_it_is_read(self):
        path = self.folder / "huge.toml"
        with open(path, "wb") as file:
            file.truncate(100 << 20)
        self.assert_refused(self.qualify(path), 65, "huge.toml", "bytes")

    def test_deep_and_duplicate_campaigns(self):
        self.assert_refused(self.qualify(self.write("d.toml", "x = " + "[" * 5000)), 65, "d.toml:1:")
        self.assert_refused(self.qualify(self.write("k.toml", "[model]\n[model]\n")), 65, "k.toml:2:")

    def test_unreadable_campaign(self):
        if os.geteuid() == 0:
            self.skipTest("root reads everything")
        path = self.campaign()
        path.chmod(0)
        self.assert_refused(self.qualify(path), 65, "cannot be read")

    def test_missing_unit_and_near_match_have_a_place(self):
        self.assert_refused(self.qualify(self.campaign(('"90 d"', '"90"'))), 65, "campaign.toml:", "unit is missing")
        self.assert_refused(self.qualify(self.campaign(("spare_nodes", "spare_node"))), 65, "spare_nodes")

    def test_unknown_chip_and_network_suggest_near_ones(self):
        chip = self.campaign(('chip = "ascend-910b2"', 'chip = "ascend-910x2"'))
        self.assert_refused(self.qualify(chip), 65, "ascend-910b2")
        network = self.campaign(('"roce-200"', '"roce-201"'))
        self.assert_refused(self.qualify(network), 65, "roce-200")

    def config(self, name, content):
        path = self.write(name, content)
        return self.qualify(self.campaign(config=path))

    def test_model_configs_that_are_no_configs(self):
        good = (SOURCE / "data/models/deepseek-r1.json").read_text()
        self.assert_refused(self.qualify(self.campaign(config=self.folder / "none.json")), 65, "none.json")
        self.assert_refused(self.config("e.json", ""), 65, "e.json")
        self.assert_refused(self.config("t.json", good[:300]), 65, "t.json")
        self.assert_refused(self.config("b.json", bytes(range(256)) * 40), 65, "b.json")
        self.assert_refused(self.config("d.json", "[" * 100000), 65, "d.json")
        self.assert_refused(self.config("k.json", '{"model_type": "llama", "model_type": "llama"}'), 65, "twice")
        self.no_verdict()

    def test_huge_config_is_refused(self):
        path = self.folder / "huge.json"
        with open(path, "wb") as file:
            file.truncate(100 << 20)
        self.assert_refused(self.qualify(self.campaign(config=path)), 65, "huge.json", "bytes")

    def test_contradictory_and_absurd_fields_are_named(self):
        good = json.loads((SOURCE / "data/models/llama-3.1-8b.json").read_text())
        for field, value in (("num_attention_heads", 33), ("num_hidden_layers", 0), ("hidden_size", -4096),
                             ("num_key_value_heads", 5), ("vocab_size", 10**30), ("model_type", "lama"),
                             ("hidden_size", "wide")):
            self.assert_refused(self.config("c.json", json.dumps({**good, field: value})), 65, field)
        self.no_verdict()

    def test_a_model_too_big_for_this_machine_names_both_sizes(self):
        big = self.campaign()
        self.assert_refused(self.qualify(big, "--tp", "1", "--ep", "1", "--profile", "full"), 65, "need about")
        self.no_verdict()

    def test_device_that_is_not_here(self):
        self.assert_refused(self.qualify(self.campaign(), "--device", "npu:7"), 69, "npu:7")
        self.assert_refused(self.qualify(self.campaign(), "--device", "banana"), 64, "banana")
        self.no_verdict()

    def test_out_that_cannot_be_written(self):
        self.assert_refused(run("qualify", self.campaign(), "--out", "/proc/nothing/here"), 74, "/proc/nothing")
        path = self.write("file", "x")
        self.assert_refused(run("qualify", self.campaign(), "--out", path), 74, "file")

    def test_out_that_holds_a_run_needs_resume(self):
        out = self.folder / "run"
        self.assertEqual(run("qualify", self.campaign(), "--out", out, "--only", "device.identity").returncode, 2)
        self.assert_refused(run("qualify", self.campaign(), "--out", out), 74, "--resume")

    def test_out_on_a_full_disk(self):
        # A file-size limit of 4 KiB stands for a disk that fills up: the first large write fails.
        result = subprocess.run(["bash", "-c", 'ulimit -f 4; trap "" XFSZ; exec "$@"', "bash", os.environ["ASCERTAIN"],
                                 "qualify", str(self.campaign()), "--out", str(self.folder / "run")],
                                env={**os.environ, "ASCERTAIN_HOME": str(SOURCE)}, text=True, capture_output=True,
                                timeout=300)
        self.assertEqual(result.returncode, 74, result.stderr)
        self.no_verdict()

    def test_evidence_that_was_changed_is_refused(self):
        out = self.folder / "run"
        run("qualify", self.campaign(), "--out", out, "--only", "device.identity")
        segment = next((out / "segments").glob("*.jsonl"))
        text = segment.read_text()
        self.assertIn("device.identity", text)
        segment.write_text(text.replace("device.identity", "device.identitx", 1))
        self.assert_refused(run("judge", out), 74)
        result = run("evidence", "verify", out)
        self.assertEqual(result.returncode, 74)

    def test_worker_that_cannot_start_is_never_a_pass(self):
        result = self.qualify(self.campaign(), environment={"ASCERTAIN_WORKER": "/bin/false"})
        self.assertEqual(result.returncode, 2, result.stderr)
        verdict = json.loads((self.folder / "run" / "verdict.json").read_text())
        self.assertEqual(verdict["verdict"], "INCONCLUSIVE")
        self.assertFalse([c for c in verdict["checks"] if c["status"] == "PASSED"])


if __name__ == "__main__":
    unittest.main(verbosity=1)
