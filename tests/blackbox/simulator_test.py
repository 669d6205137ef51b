"""catalog, plan and simulate from the outside."""

import json
import tomllib
import unittest

from harness import FIRST_LOOK, SOURCE, Case, faults, run


class Simulator(Case):
    def test_catalog_lists_and_shows_with_sources(self):
        listed = json.loads(run("catalog", "list", "--format", "json").stdout)
        self.assertGreater(len(listed), 40)
        shown = run("catalog", "show", "ascend-910b2")
        self.assertEqual(shown.returncode, 0)
        self.assertIn("source", shown.stdout)
        self.assertEqual(run("catalog", "validate").returncode, 0)
        self.assert_refused(run("catalog", "show", "ascend-910b22"), 65, "ascend-910b2")

    def test_plan_finds_plans_that_fill_the_fleet(self):
        result = run("plan", "--format", "json", timeout=300)
        self.assertEqual(result.returncode, 0, result.stderr)
        document = json.loads(result.stdout)
        self.assertEqual(document["schema"], "ascertain.plan/1")
        self.assertTrue(document["plans"])
        self.assertEqual(faults("plan", document), [])
        for plan in document["plans"]:
            self.assertEqual(plan["tp"] * plan["pp"] * plan["dp"] * plan["cp"], 8192)
            self.assertLessEqual(plan["low_s"], plan["step_s"])
            self.assertLessEqual(plan["step_s"], plan["high_s"])
        steps = [plan["step_s"] for plan in document["plans"]]
        self.assertEqual(steps, sorted(steps))

    def plans(self, *flags):
        result = run("plan", "--format", "json", *flags, timeout=300)
        self.assertEqual(result.returncode, 0, result.stderr)
        document = json.loads(result.stdout)
        self.assertEqual(faults("plan", document), [])
        return document["plans"]

    def test_plan_and_simulate_take_the_layers_of_each_stage(self):
        split = "16,16,16,13"  # R1's 61 layers, the last stage lighter for its head
        plans = self.plans("--pipeline-layers", split)
        self.assertTrue(plans)
        for plan in plans:
            self.assertEqual(",".join(map(str, plan["pipeline_layers"])), split)
        self.assert_refused(run("plan", "--pipeline-layers", "16,16,16,16"), 65, "64 layers, the model has 61")
        self.assert_refused(run("plan", "--pp", "4", "--vpp", "1", "--pipeline-layers", "30,31"), 65, "2 virtual stages")
        text = run("simulate", "--pipeline-layers", split, "--histories", "96", timeout=300)
        self.assertEqual(text.returncode, 0, text.stderr)
        self.assertIn(f"layers {split}", text.stdout)
        campaign = FIRST_LOOK.read_text().replace(
            "../", f"{SOURCE}/data/").replace("global_batch_sequences = 15360", "global_batch_sequences = 15360\n"
                                             f"[training.stage.plan]\npipeline_layers = [{split}]", 1)
        self.assertEqual(self.plans(self.write("split.toml", campaign))[0]["pipeline_layers"],
                         plans[0]["pipeline_layers"])

    def test_plan_leaves_activations_to_the_host(self):
        config = SOURCE / "data/models/llama-3.1-70b.json"
        campaign = self.write("campaign.toml", f"""
[model]
config = "{config}"
[training]
precision = "bf16"
[[training.stage]]
kind = "pretrain"
tokens = 1e12
sequence_length = 8192
global_batch_sequences = 256
[fleet]
chip = "h100-80gb-sxm"
count = 64
network = "ib-ndr"
[decision]
""")
        flags = (campaign, "--tp", "8", "--pp", "4", "--micro-batch", "1", "--recompute", "none", "--schedule", "1f1b")
        refused = run("plan", "--format", "json", *flags)
        stays = json.loads(refused.stdout)["plans"]
        leaves = self.plans(*flags, "--offload-layers", "10")
        self.assertTrue(leaves)
        for plan in leaves:
            self.assertEqual(plan["offload_layers"], 10)
            self.assertGreater(plan["memory"]["host_bytes"], 0)
        if stays:
            self.assertLess(leaves[0]["memory_bytes"], stays[0]["memory_bytes"])
        self.assert_refused(run("plan", "--offload-layers", "4"), 2, "host_link.per_direction")

    def test_simulate_foretells_dates_with_intervals_and_kinds(self):
        result = run("simulate", "--format", "json", "--seed", "7", timeout=300)
        self.assertEqual(result.returncode, 0, result.stderr)
        document = json.loads(result.stdout)
        self.assertEqual(document["schema"], "ascertain.projection/1")
        self.assertTrue(document["provenance"])
        self.assertEqual(faults("projection", document), [])
        self.assertLess(document["cost_usd"]["p10"], document["cost_usd"]["p50"])
        again = run("simulate", "--format", "json", "--seed", "7", timeout=300)
        self.assertEqual(json.loads(again.stdout)["finish_days"], document["finish_days"])

    def runs(self, *ids):
        rows = json.loads((SOURCE / "data/published/runs.json").read_text())
        return [row for row in rows if row["id"] in ids] if ids else rows

    def score(self, rows, *flags):
        path = self.write("runs.json", json.dumps(rows))
        result = run("score", path, "--format", "json", *flags)
        self.assertEqual(result.returncode, 0, result.stderr)
        document = json.loads(result.stdout)
        self.assertEqual(faults("score", document), [])
        return document

    def test_score_predicts_every_ready_row_and_refuses_the_others_with_a_reason(self):
        rows = self.runs()
        document = self.score(rows)
        self.assertEqual([row["id"] for row in document["rows"]], [row["id"] for row in rows])
        for row, given in zip(document["rows"], rows):
            ready = given["setup"]["score_ready"]
            self.assertEqual(row["predicted_step_s"] is not None, ready, row)
            self.assertEqual(row["refused_because"] is None, ready, row)
            if ready:
                self.assertLess(row["low_s"], row["predicted_step_s"])
                self.assertLess(row["predicted_step_s"], row["high_s"])
                self.assertAlmostEqual(
                    row["error_ratio"], row["predicted_step_s"] / given["setup"]["measured_step_s"] - 1)
        errors = [abs(row["error_ratio"]) for row in document["rows"] if row["error_ratio"] is not None]
        self.assertEqual(document["summary"]["all"]["count"], len(errors))
        self.assertAlmostEqual(document["summary"]["all"]["mape"], sum(errors) / len(errors))
        self.assertEqual({peer["name"] for peer in document["peers"]},
                         {"SimuMax", "Calculon", "llm-analysis", "vTrain"})

    def test_score_marks_only_the_rows_that_were_fitted_on(self):
        rows = self.runs()[:60]
        fresh = json.loads(json.dumps(rows))
        for row in fresh:
            row["id"] = "other-" + row["id"]
        document = self.score(rows + fresh)
        self.assertTrue(any(row["used_for_fitting"] for row in document["rows"][:60]))
        self.assertFalse(any(row["used_for_fitting"] for row in document["rows"][60:]))

    def test_score_predicts_a_ready_row_whatever_optional_field_is_silent(self):
        needed = {"chip", "devices", "tp", "pp", "dp", "micro_batch", "global_batch_seqs", "seq",
                  "sharding", "recompute", "dtype", "measured_step_s", "vpp", "ep", "score_ready", "cp"}
        ready = [row for row in self.runs() if row["setup"]["score_ready"]]
        rows = []
        for row in (ready[0], ready[len(ready) // 2], next(r for r in ready if r["setup"].get("moe"))):
            for field in row["setup"]:
                if field in needed or field == "moe":
                    continue
                for how in ("null", "missing"):
                    changed = json.loads(json.dumps(row))
                    changed["id"] = f"{row['id']} {field} {how}"
                    if how == "null":
                        changed["setup"][field] = None
                    else:
                        del changed["setup"][field]
                    rows.append(changed)
        for row in self.score(rows)["rows"]:
            self.assertIsNone(row["refused_because"], row["id"])

    def test_score_refuses_by_name_what_contradicts_itself_or_is_unknown(self):
        good = next(row for row in self.runs() if row["setup"]["score_ready"])
        rows = []
        for change in ({"chip": "abacus"}, {"chip": None}, {"tp": None}, {"dp": 7}, {"devices": -1},
                       {"seq": "long"}, {"dtype": "fp2"}, {"measured_step_s": None}, {"micro_batch": 0},
                       {"recompute": "perhaps"}, {"score_ready": False}):
            rows.append({**good, "id": str(change), "setup": {**good["setup"], **change}})
        rows += [{**good, "setup": None}, {**good, "model": None}, {}, good]
        document = self.score(rows)
        for row in document["rows"][:-1]:
            self.assertIsNone(row["predicted_step_s"], row["id"])
            self.assertTrue(row["refused_because"], row["id"])
        self.assertEqual(document["summary"]["all"]["count"], 1)

    def projected(self, *changes):
        result = run("simulate", self.campaign(*changes), "--histories", "96", "--format", "json", timeout=300)
        self.assertEqual(result.returncode, 0, result.stderr)
        document = json.loads(result.stdout)
        self.assertEqual(faults("projection", document), [])
        return document, {entry["name"]: entry for entry in document["provenance"]}

    def test_what_calibrate_writes_into_chip_and_network_files_reaches_the_months(self):
        measured = 'kind = "measured", source = "here"'
        chip = (SOURCE / "data/chips/ascend-910b2.toml").read_text()
        self.write("mine.toml", chip.replace("[reliability]\n", "[checkpoint]\n"
                   f'write_per_device = {{ value = 0.002, unit = "GB/s", {measured} }}\n'
                   f'read_per_device = {{ value = 0.003, unit = "GB/s", {measured} }}\n[reliability]\n'
                   f'soak_device_hours = {{ value = 1e6, unit = "h", {measured} }}\n'
                   f'soak_failures = {{ value = 1, unit = "count", {measured} }}\n'))
        network = (SOURCE / "data/networks/roce-200.toml").read_text()
        self.write("net.toml", network.replace("value = 25,", "value = 2.5,"))
        before, rests_on = self.projected()
        after, now = self.projected(('chip = "ascend-910b2" ', 'chip = "mine.toml" '))
        self.assertEqual(now["failure_rate"]["kind"], "measured")
        self.assertIn("1 failures in 1e+06 device-hours of soak", now["failure_rate"]["source"])
        self.assertLess(now["failure_rate"]["high"], rests_on["failure_rate"]["low"])
        self.assertLess(after["failure_prior_share"], 0.2)
        # 8,192 devices at 2 MB/s each are 16.4 GB/s, whatever storage could take.
        self.assertAlmostEqual(now["write_bytes_per_s"]["value"], 8192 * 2e6)
        self.assertAlmostEqual(now["read_bytes_per_s"]["high"], 8192 * 3e6)
        self.assertEqual(now["write_bytes_per_s"]["kind"], "measured")
        # Ports of a tenth of the rate: a slower step.
        _, slower = self.projected(('network = "roce-200"', 'network = "net.toml"'))
        self.assertGreater(slower["step_s.pretrain"]["value"], 1.2 * rests_on["step_s.pretrain"]["value"])
        self.write("net.toml", network.replace("value = 25,", "value = -25,"))
        self.assert_refused(run("simulate", self.campaign(('network = "roce-200"', 'network = "net.toml"'))), 65,
                            "net.toml")
        rows = json.loads(run("compare", self.campaign(), "--chips", "ascend-910b2,ascend-910b2@" + str(
            self.write("fast.toml", network.replace("value = 25,", "value = 250,"))), "--histories", "96",
            "--format", "json", timeout=300).stdout)["rows"]
        steps = [row["stages"][0]["trained_by"][0]["step_s"] for row in rows]
        self.assertLess(steps[1], 0.95 * steps[0])

    def test_a_batch_is_shared_where_only_some_of_its_parts_divide(self):
        # 496 sequences divide over no plan of 8,192 devices; 256 do.
        result = run("compare", "--chips", "h800-80gb-sxm:2048~h20-96gb:8192", "--histories", "96", "--format", "json",
                     timeout=300)
        self.assertEqual(result.returncode, 0, result.stderr)
        row = json.loads(result.stdout)["rows"][0]
        self.assertIsNone(row["refused_because"])
        for stage in row["stages"]:
            self.assertTrue(all(part["plan"] for part in stage["trained_by"]), stage)

    def operated(self, *lines, spares=32):
        return self.projected(("[here]", "[operations]\n" + "\n".join(lines) + "\n[here]"),
                              ("spare_nodes = 32", f"spare_nodes = {spares}"))

    def test_operations_of_the_campaign_reach_the_months(self):
        def share(document, name):
            return {part["name"]: part["ratio"] for part in document["goodput"]["waterfall"]}[name]
        plain, _ = self.operated(spares=0)
        self.assertEqual(share(plain, "shrunk") + share(plain, "maintenance"), 0)
        self.assertGreater(share(plain, "spares"), 0)
        # Copies in memory stall for a second where writing takes a minute and a half: they come more often.
        memory, _ = self.operated('checkpoint = "in_memory"', spares=0)
        self.assertLess(memory["goodput"]["checkpoint_interval_s"], 0.5 * plain["goodput"]["checkpoint_interval_s"])
        self.assertLess(share(memory, "checkpoint"), share(plain, "checkpoint"))
        given, _ = self.operated('checkpoint_interval = "2 h"')
        self.assertEqual(given["goodput"]["checkpoint_interval_s"], 7200)
        self.assertGreater(share(given, "rework"), share(plain, "rework"))
        shrinking, _ = self.operated("replicas_lost_at_most = 0.2", spares=0)
        self.assertGreater(share(shrinking, "shrunk"), 0)
        self.assertLess(share(shrinking, "spares"), share(plain, "spares"))
        kept, _ = self.operated('maintenance_every = "7 d"', 'maintenance_takes = "8 h"')
        self.assertGreater(share(kept, "maintenance"), 0.01)
        # The slowest of 8,192 normal times is 3.802 standard deviations late (order statistics).
        _, spread = self.operated("step_time_spread = 0.01", "monitoring_ratio = 0.02")
        self.assertAlmostEqual(spread["straggler_ratio"]["value"], 0.03802, delta=0.00001)
        self.assertEqual(spread["monitoring_ratio"]["value"], 0.02)
        absurd = self.campaign(("[here]", '[operations]\nreplicas_lost_at_most = 2\n[here]'))
        self.assert_refused(run("simulate", absurd), 65, "replicas_lost_at_most")

    def test_calibrate_refuses_what_is_no_evidence(self):
        self.assert_refused(run("calibrate", self.folder / "none", "--chip", "ascend-910b2"), 74)
        self.assert_refused(run("calibrate", "--chip", "ascend-910b2"), 64, "--from-runs")
        self.assert_refused(run("calibrate", "--from-runs", "x.json", "--network", "roce-200"), 64, "--from-runs")

    def test_calibrate_learns_a_new_framework_from_three_runs_and_says_which(self):
        rows = self.runs("dgxc-v250201-llama70b-bf16-64", "dgxc-v250201-llama70b-bf16-128",
                         "dgxc-v250201-llama70b-bf16-256", "dgxc-v250201-llama70b-bf16-2048")
        for row in rows:
            row["id"] = "ours-" + row["id"]
            row["setup"]["framework"] = "ours"
            row["setup"]["measured_step_s"] *= 1.2
        constants = self.folder / "constants.toml"
        result = run("calibrate", "--from-runs", self.write("ours.json", json.dumps(rows[:3])), "--out", constants,
                     timeout=300)
        self.assertEqual(result.returncode, 0, result.stderr)
        written = tomllib.loads(constants.read_text())
        for row in rows[:3]:
            self.assertIn(row["id"], result.stdout)
            self.assertIn(row["id"], written["fitted_on"])
        before = self.score(rows[3:])["rows"][0]
        after = self.score(rows[3:], "--constants", constants)["rows"][0]
        self.assertLess(abs(after["error_ratio"]), 0.5 * abs(before["error_ratio"]))
        self.assertLess(after["high_s"] - after["low_s"], before["high_s"] - before["low_s"])

    def test_calibrate_says_what_is_wrong_with_its_runs(self):
        row = self.runs("dgxc-v250201-llama70b-bf16-64")[0]
        row["setup"]["micro_batch"] = None
        row["id"] = "ours"
        path = self.write("ours.json", json.dumps([row]))
        self.assert_refused(run("calibrate", "--from-runs", path), 65, "missing:micro_batch")
        self.assert_refused(run("calibrate", "--from-runs", path, "--chip", "h100-80gb-sxm"), 64, "--from-runs")
        self.assert_refused(run("calibrate"), 64, "--from-runs")

    def test_score_says_what_is_wrong_with_a_file(self):
        self.assert_refused(run("score", self.write("a.json", "[1]")), 65, "a.json")
        self.assert_refused(run("score", self.write("b.json", "[{]")), 65, "b.json:1")
        self.assert_refused(run("score", self.folder / "none.json"), 65, "none.json")
        huge = self.folder / "huge.json"
        with huge.open("wb") as stream:
            stream.truncate(10 << 30)  # sparse: nothing is stored
        self.assert_refused(run("score", huge, timeout=20), 65, "huge.json")
        nothing = run("score", self.write("c.json", "[]"))
        self.assertEqual(nothing.returncode, 2)

    def test_simulate_draws_a_step_that_a_trace_reader_opens(self):
        small = self.campaign(("count = 8192", "count = 1024"))
        for flags in ((), ("--trace-all-ranks",)):
            path = self.folder / "step.json"
            result = run("simulate", small, "--trace", path, "--histories", "96", *flags)
            self.assertEqual(result.returncode, 0, result.stderr)
            trace = json.loads(path.read_text())
            busy, counters = {}, 0
            for event in trace["traceEvents"]:
                self.assertIn(event["ph"], "XMC")
                if event["ph"] == "C":
                    self.assertGreaterEqual(event["args"]["GB"], 0)
                    counters += 1
                if event["ph"] != "X":
                    continue
                row = busy.setdefault(event["tid"], [])
                row.append((event["ts"], event["dur"]))
            for slices in busy.values():
                slices.sort()
                for (start, length), (after, _) in zip(slices, slices[1:]):
                    self.assertLessEqual(start + length, after + 0.01)
            self.assertEqual(len(busy) == 1024, bool(flags))
            self.assertTrue(counters or flags)
        self.assertEqual([p.name for p in self.folder.iterdir() if p.name.endswith(".part")], [])
        lost = run("simulate", small, "--trace", self.folder / "none/x.json", "--histories", "96")
        self.assert_refused(lost, 74, "x.json")

    def test_the_example_campaign_fits_its_schema(self):
        self.assertEqual(faults("campaign", tomllib.loads(FIRST_LOOK.read_text())), [])

    def test_no_plan_that_fits_says_what_would(self):
        small = self.campaign(("count = 8192", "count = 8"), ("spare_nodes = 32", "spare_nodes = 0"))
        result = run("plan", small)
        self.assertEqual(result.returncode, 2, result.stdout + result.stderr)
        self.assertIn("memory", (result.stdout + result.stderr).lower())

    def test_compare_puts_one_campaign_on_several_fleets_and_mixes(self):
        campaign = self.campaign()
        result = run("compare", campaign, "--chips", "h800-80gb-sxm:2048,h800-80gb-sxm:2048+ascend-910c:512,h20-96gb:8",
                     "--histories", "96", "--format", "json")
        self.assertEqual(result.returncode, 0, result.stderr)
        document = json.loads(result.stdout)
        self.assertEqual(faults("comparison", document), [])
        alone, mix, small = document["rows"]
        self.assertEqual(mix["stages"][-1]["answers_by"], "ascend-910c")
        self.assertEqual((alone["serving"]["chip"], mix["serving"]["chip"]), ("h800-80gb-sxm", "ascend-910c"))
        self.assertLess(alone["serving"]["output_tokens_per_s"]["low"], alone["serving"]["output_tokens_per_s"]["mid"])
        self.assertIn("ascend-910c power.board", [item["what"] for item in mix["unknown"]])
        self.assertEqual(alone["stages"][0]["trained_by"], mix["stages"][0]["trained_by"])
        self.assertIsNone(small["projection"])  # 671 G parameters do not fit on eight chips
        self.assertIn("fits", small["refused_because"])
        page = self.folder / "fleets.html"
        again = run("compare", campaign, "--chips", "h800-80gb-sxm:2048", "--histories", "96", "--format", "json",
                    "--report", page)
        self.assertIn("1 fleet, one campaign", page.read_text())
        self.assertIn(alone["chips"], page.read_text())
        self.assertEqual(json.loads(again.stdout)["rows"][0], alone)
        self.assert_refused(run("compare", campaign, "--chips", "h800-80gb:2048+"), 64, "a chip is missing")
        self.assert_refused(run("compare", campaign, "--chips", "h80-80gb-sxm"), 65, "h800-80gb-sxm")
        self.assert_refused(run("compare", campaign), 64, "--chips")

    def serve(self, *changes, flags=()):
        campaign = self.campaign(('[serving]\nchip = "ascend-910b2"', '[serving]\n' + "\n".join(changes)))
        return run("plan", campaign, "--serve", "--format", "json", *flags)

    def test_plan_serve_sizes_the_serving_side(self):
        result = self.serve('chip = "h800-80gb-sxm"', 'time_per_output_token = "50 ms"', "output_tokens_per_s = 1e6",
                            'network = "roce-400"')
        self.assertEqual(result.returncode, 0, result.stderr)
        document = json.loads(result.stdout)
        self.assertEqual(faults("serving", document), [])
        best = document["layouts"][0]
        self.assertLessEqual(best["time_per_output_token_s"]["mid"], 0.05)
        self.assertLessEqual(best["memory"]["total_bytes"], best["memory"]["usable_bytes"])
        self.assertGreaterEqual(best["memory"]["weights_bytes"] * best["chips"], 671e9)  # in 8 bits, and copies
        needed = document["devices_needed"]["mid"]
        self.assertEqual(needed % best["chips"], 0)
        self.assertGreaterEqual(needed * best["output_tokens_per_s"]["mid"], 1e6)
        self.assertLess((needed - best["chips"]) * best["output_tokens_per_s"]["mid"], 1e6)
        # Without the limit more sequences are at once, and each waits longer.
        free = json.loads(self.serve('chip = "h800-80gb-sxm"', 'network = "roce-400"').stdout)["layouts"][0]
        self.assertGreater(free["time_per_output_token_s"]["mid"], 0.05)
        self.assertGreater(free["output_tokens_per_s"]["mid"], best["output_tokens_per_s"]["mid"])

    def test_plan_serve_says_what_cannot_be_served(self):
        small = self.serve('chip = "h800-80gb-sxm"', "count = 8")
        self.assertEqual(small.returncode, 2, small.stderr)
        self.assertIn("does not fit", json.loads(small.stdout)["nothing_fits"])
        self.assertEqual(json.loads(small.stdout)["layouts"], [])
        hasty = self.serve('chip = "h800-80gb-sxm"', 'time_per_output_token = "1 us"')
        self.assertEqual(hasty.returncode, 2, hasty.stderr)
        self.assertIn("time per output token", json.loads(hasty.stdout)["nothing_fits"])
        self.assert_refused(self.serve('chip = "ascend-910b2"', 'precision = "fp8"'), 2, "peak_dense.fp8")
        self.assert_refused(self.serve('chip = "ascend-910bb"'), 65, "ascend-910b")
        self.assert_refused(self.serve('chip = "h800-80gb-sxm"', "prompt_tokens = -1"), 65, "prompt_tokens")

    def test_rollouts_that_carry_on_finish_sooner(self):
        days = {}
        for how in ("partial", "synchronous"):
            campaign = self.campaign(("updates_per_rollout", f'rollout = "{how}"\nupdates_per_rollout'))
            result = run("simulate", campaign, "--histories", "96", "--format", "json")
            self.assertEqual(result.returncode, 0, result.stderr)
            steps = {entry["name"]: entry for entry in json.loads(result.stdout)["provenance"]}["step_s.grpo"]
            days[how] = steps["value"] * 10400 / 86400
        # 650 times answers of 6,000 tokens, 10 to 60 ms a token, the longest of 32,768, and the training after them.
        self.assertGreater(days["partial"], 650 * 6000 * 0.010 / 86400)
        self.assertLess(days["synchronous"], (650 * 32768 * 0.060 + 10400 * 20) / 86400)
        self.assertLess(days["partial"], days["synchronous"])

    def test_score_serving_predicts_published_figures_inside_its_interval(self):
        page, level = self.folder / "page.md", self.folder / "level.toml"
        rows = SOURCE / "data/published/serving.json"
        result = run("score", rows, "--format", "json", "--page", page, "--level", level)
        self.assertEqual(result.returncode, 0, result.stderr)
        document = json.loads(result.stdout)
        self.assertEqual(faults("served_score", document), [])
        given = json.loads(rows.read_text())
        self.assertEqual(faults("served", given), [])
        self.assertEqual(len(document["rows"]), len(given["rows"]))
        inside = [row["inside"] for row in document["rows"] if row["inside"] is not None]
        self.assertGreater(len(inside), 200)
        self.assertGreaterEqual(sum(inside) / len(inside), 0.75)  # 80 % is claimed
        self.assertAlmostEqual(document["summary"]["interval_coverage"], sum(inside) / len(inside))
        for row in document["rows"]:
            self.assertEqual(row["inside"], row["low_tokens_per_s"] <= row["published_tokens_per_s"]
                             <= row["high_tokens_per_s"])
        self.assertIn("Row by row", page.read_text())
        self.assertGreater(tomllib.loads(level.read_text())["decode"], 0)
        bad = json.loads(rows.read_text())
        bad["rows"][3]["precision"] = "fp2"
        self.assert_refused(run("score", self.write("bad.json", json.dumps(bad))), 65, "rows[3]", "fp2")
        few = {**bad, "rows": bad["rows"][:2]}
        self.assertEqual(run("score", self.write("few.json", json.dumps(few))).returncode, 2)
        self.assert_refused(run("score", rows, "--cross-validate"), 64, "--cross-validate")
        self.assert_refused(run("score", "--page", page), 64, "--cross-validate")


if __name__ == "__main__":
    unittest.main(verbosity=1)
