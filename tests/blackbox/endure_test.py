"""Links and soak on simulated devices: a clean fabric passes, each planted fault is caught and its rank named."""

import collections
import json
import unittest

from harness import Case, faults, run

RANKS = 3


def defect(where, does, when=""):
    """A defect file's text with one rule."""
    return f"""schema = "ascertain.defect/1"
[[defect]]
id = "TEST-1"
summary = "planted by a test"
source = "the tests"
class = "parallelism"
plane = "fabric"
remedy = "none"
[defect.where]
{where}
{when and "[defect.when]"}
{when}
[defect.does]
{does}
"""


class Endure(Case):
    def links(self, *flags, ranks=RANKS, timeout=600):
        result = run("links", "--device", "simulated:0", "--ranks", ranks, "--format", "json", "--profile", "quick",
                     "--out", self.folder / "run", *flags, timeout=timeout)
        document = json.loads(result.stdout) if result.stdout else None
        if document:
            self.assertEqual(faults("links", document), [])
        return result, document

    def planted(self, where, does, when=""):
        """The document of links with that defect armed, which must fail."""
        path = self.write("defect.toml", defect(where, does, when))
        result, document = self.links("--only", "links.data", "--defects", path)
        self.assertEqual(result.returncode, 1, result.stderr + result.stdout)
        self.assertEqual(document["checks"][0]["status"], "FAILED")
        return document


class Links(Endure):
    def test_a_clean_fabric_passes(self):
        result, document = self.links()
        # Nothing but the profile, which screens, keeps it from QUALIFIED.
        self.assertEqual(result.returncode, 2, result.stderr + result.stdout)
        verdict = json.loads((self.folder / "run/verdict.json").read_text())
        self.assertEqual({blocker["check"] for blocker in verdict["blockers"]}, {"profile"})
        self.assertEqual({check["status"] for check in document["checks"]}, {"PASSED"})
        self.assertEqual(document["findings"], [])
        self.assertEqual(document["backends"][0]["emulated"], ["reduce_scatter"])

    def test_the_rank_that_contributes_nothing_is_named(self):
        document = self.planted('collective = "all_reduce"\nrank = 1', 'kind = "drop_share"\nshare = 1.0')
        sums = [f for f in document["findings"] if f["dtype"] != "bool"]
        self.assertTrue(sums)
        # A message of few elements may be explained in several ways; nearly all can not.
        blamed = collections.Counter((f["what"], f["from_rank"]) for f in sums)
        self.assertEqual(blamed.most_common(1)[0][0], ("missing", 1))
        self.assertGreater(blamed[("missing", 1)], sum(blamed.values()) / 2)

    def test_the_rank_that_counts_twice_is_named(self):
        document = self.planted('collective = "all_reduce"\nrank = 2\ndtype = "fp32"', 'kind = "reduce_twice"')
        self.assertEqual({(f["what"], f["from_rank"]) for f in document["findings"]}, {("twice", 2)})

    def test_sums_in_another_order_each_time_are_caught(self):
        document = self.planted('collective = "all_reduce"', 'kind = "nondeterministic_order"')
        self.assertIn("unrepeated", document["checks"][0]["reason"])

    def test_corrupted_bytes_are_seen_where_they_arrive(self):
        document = self.planted('collective = "all_gather"\nrank = 0', 'kind = "corrupt_bytes"\nbytes = 1',
                                "every = 3")
        self.assertEqual({f["at_rank"] for f in document["findings"]}, {0})
        for finding in document["findings"]:
            self.assertEqual(finding["byte_end"] - finding["byte_begin"], 1)


class Soak(Endure):
    def soak(self, *flags):
        result = run("soak", "--for", "4s", "--device", "simulated:0", "--format", "json", "--out",
                     self.folder / "run", *flags, timeout=300)
        document = json.loads(result.stdout)
        self.assertEqual(faults("soak", document), [])
        return result, document

    def test_quiet_devices_pass_and_prove_little(self):
        result, document = self.soak("--ranks", "2")
        self.assertEqual(result.returncode, 0, result.stderr + result.stdout)
        self.assertEqual(document["failures"], 0)
        # Two devices for four seconds at least.
        self.assertGreater(document["device_hours"], 8 / 3600)
        # T / 3, with T the hours soaked: the rule of three.
        self.assertAlmostEqual(document["mtbf_hours_low_95"], document["device_hours"] / 2.9957, places=6)
        self.assertGreater(document["claim"]["prior_share"], 0.99)

    def test_a_chip_that_changes_its_mind_is_caught(self):
        path = self.write("defect.toml", defect('operator = "mm"', 'kind = "flip_bit"\nbit = 8',
                                                "probability = 0.01\nseed = 3"))
        result, document = self.soak("--defects", path)
        self.assertEqual(result.returncode, 1, result.stderr + result.stdout)
        self.assertGreaterEqual(document["failures"], 1)


class Usage(Case):
    def test_links_needs_two_ranks(self):
        self.assert_refused(run("links", "--device", "cpu"), 64, "--ranks")

    def test_a_soak_needs_a_length_that_makes_sense(self):
        self.assert_refused(run("soak", "--for", "banana"), 64, "banana")
        self.assert_refused(run("soak", "--for", "0s"), 64, "--for")


if __name__ == "__main__":
    unittest.main(verbosity=2)
