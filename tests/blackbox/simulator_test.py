"""catalog, plan and simulate from the outside."""

import json
import tomllib
import unittest

from harness import FIRST_LOOK, Case, faults, run


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

    def test_the_example_campaign_fits_its_schema(self):
        self.assertEqual(faults("campaign", tomllib.loads(FIRST_LOOK.read_text())), [])

    def test_no_plan_that_fits_says_what_would(self):
        small = self.campaign(("count = 8192", "count = 8"), ("spare_nodes = 32", "spare_nodes = 0"))
        result = run("plan", small)
        self.assertEqual(result.returncode, 2, result.stdout + result.stderr)
        self.assertIn("memory", (result.stdout + result.stderr).lower())


if __name__ == "__main__":
    unittest.main(verbosity=1)
