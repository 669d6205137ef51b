"""Campaigns over agents on loopback: they join, answer, are missing, are killed; and nobody is taken for well."""

import json
import os
import signal
import subprocess
import time
import unittest

from harness import ASCERTAIN, SOURCE, Case, faults, run, verdict_of
from ops_test import case

QWEN = SOURCE / "data/models/qwen3-8b.json"
LISTEN = "tcp://127.0.0.1:*"


class Nodes(Case):
    def setUp(self):
        super().setUp()
        self.key = self.folder / "agents.key"
        self.agents = []

    def tearDown(self):
        for agent in self.agents:
            agent.kill()
            agent.communicate()
        super().tearDown()

    def agent(self, node, *flags):
        env = {**os.environ, "ASCERTAIN_HOME": str(SOURCE)}
        agent = subprocess.Popen([ASCERTAIN, "agent", "--key", str(self.key), "--node", node, "--wait", "60s", *flags],
                                 env=env, stderr=subprocess.PIPE, text=True)
        self.agents.append(agent)
        return agent

    def lead(self, command, *flags, **options):
        return run(command, *flags, "--listen", LISTEN, "--key", self.key, **options)

    def ops(self, *flags):
        return [self.campaign(config=QWEN), "--cases", self.write("cases.json", json.dumps([case()])),
                "--out", self.folder / "run", *flags]

    def ended(self, agent):
        """(exit code, what it said)"""
        _, said = agent.communicate(timeout=60)
        return agent.returncode, said

    def test_devices_of_two_nodes_are_listed_under_their_nodes(self):
        agents = [self.agent(name) for name in ("node1", "node2")]
        result = self.lead("devices", "--agents", "2", "--format", "json")
        self.assertEqual(result.returncode, 0, result.stderr)
        names = [row["device"] for row in json.loads(result.stdout)]
        self.assertEqual(names, ["node1/cpu", "node2/cpu"])
        for agent in agents:
            self.assertEqual(self.ended(agent)[0], 0)
        self.assertEqual(self.key.stat().st_mode & 0o777, 0o600)
        self.assertEqual(faults("agent_key", json.loads(self.key.read_text())), [])

    def test_a_case_is_replayed_on_another_node_and_evidence_says_on_which(self):
        self.agent("far", "--device", "simulated:0")
        result = self.lead("ops", *self.ops("--nodes", "far"), timeout=600)
        self.assertEqual(result.returncode, 0, result.stderr + result.stdout)
        verdict = verdict_of(self.folder / "run")
        self.assertEqual(verdict["scope"]["devices"], ["far/simulated:0"])
        self.assertTrue(any(check["status"] == "PASSED" for check in verdict["checks"]))
        [device] = verdict["context"]["devices"]
        self.assertEqual((device["device"], device["node"]), ("far/simulated:0", "far"))

    def test_a_defect_on_another_node_is_found_there(self):
        defects = SOURCE / "data/defects/examples/round-partial-sums.toml"
        self.agent("good", "--device", "simulated:0")
        self.agent("bad", "--device", "simulated:0", "--defects", str(defects))
        result = self.lead("ops", *self.ops("--nodes", "good,bad"), timeout=600)
        self.assertEqual(result.returncode, 1, result.stderr + result.stdout)
        failed = {check["device"] for check in verdict_of(self.folder / "run")["checks"] if check["status"] == "FAILED"}
        self.assertEqual(failed, {"bad/simulated:0"})

    def test_a_node_that_never_comes_is_named_and_blocks(self):
        self.agent("here", "--device", "simulated:0")
        result = self.lead("ops", *self.ops("--nodes", "here,gone", "--wait", "5s"), timeout=600)
        self.assertEqual(result.returncode, 2, result.stderr + result.stdout)
        self.assertIn("node gone: no agent of this node joined within 5 s", result.stderr)
        verdict = verdict_of(self.folder / "run")
        self.assertEqual(verdict["verdict"], "INCONCLUSIVE")
        self.assertEqual({check["status"] for check in verdict["checks"] if check["device"].startswith("gone/")},
                         {"SKIPPED"})
        self.assertTrue(any("gone" in blocker["reason"] for blocker in verdict["blockers"]), verdict["blockers"])

    def test_nobody_coming_is_an_unavailable_device(self):
        result = self.lead("ops", *self.ops("--agents", "2", "--wait", "1s"))
        self.assert_refused(result, 69, "none of 2 agents joined within 1s")

    def test_a_killed_agent_is_noticed_and_its_checks_are_no_pass(self):
        # The operator hangs, so that the agent is killed while it is being asked.
        text = (SOURCE / "data/defects/examples/hang.toml").read_text()
        hangs = self.write("hang.toml", text.replace('"bmm"', '"mm"').replace("after_calls = 4", "after_calls = 0"))
        agent = self.agent("frail", "--device", "simulated:0", "--defects", str(hangs))
        env = {**os.environ, "ASCERTAIN_HOME": str(SOURCE)}
        words = ["ops", *self.ops("--nodes", "frail"), "--listen", LISTEN, "--key", self.key]
        lead = subprocess.Popen([ASCERTAIN, *map(str, words)], env=env, text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)
        self.addCleanup(lead.kill)
        evidence = self.folder / "run"
        for _ in range(600):  # the required set is on disk before the first check begins
            if any("\"required\"" in path.read_text() for path in evidence.rglob("*.jsonl")):
                break
            time.sleep(0.1)
        agent.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        out, err = lead.communicate(timeout=120)
        self.assertLess(time.monotonic() - killed, 60)
        self.assertEqual(lead.returncode, 2, err + out)
        statuses = {check["status"] for check in verdict_of(evidence)["checks"] if check["required"]}
        self.assertNotIn("PASSED", statuses)
        self.assertIn("frail: the connection to its agent is gone", (evidence / "verdict.json").read_text())

    def test_another_campaigns_key_opens_nothing(self):
        first = self.agent("node1")
        self.assertEqual(self.lead("devices", "--agents", "1").returncode, 0)
        self.assertEqual(self.ended(first)[0], 0)
        stale = self.folder / "stale.key"
        self.key.rename(stale)
        env = {**os.environ, "ASCERTAIN_HOME": str(SOURCE)}
        lead = subprocess.Popen([ASCERTAIN, "devices", "--agents", "1", "--wait", "8s", "--listen", LISTEN, "--key",
                                 str(self.key)], env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(lead.kill)
        for _ in range(100):
            if self.key.exists():
                break
            time.sleep(0.05)
        join = json.loads(self.key.read_text())["join"]
        thief = run("agent", "--join", join, "--key", stale, "--node", "thief", "--wait", "3s")
        self.assert_refused(thief, 69, "not to the key in")
        _, said = lead.communicate(timeout=60)
        self.assertEqual(lead.returncode, 69, said)

    def test_a_device_of_another_node_needs_agents(self):
        self.assert_refused(run("devices", "--device", "node1/cpu"), 64, "node1/cpu", "--agents")

    def test_agents_say_what_is_wrong_with_their_own_words(self):
        self.assert_refused(run("agent", "--key", self.key, "--node", "a/b"), 64, "a/b", "--node")
        self.assert_refused(run("agent", "--key", self.key, "--wait", "soon"), 65, "soon")
        self.assert_refused(run("agent", "--key", self.key, "--wait", "1s"), 69, "no key for 1 s")


if __name__ == "__main__":
    unittest.main(verbosity=1)
