"""Two hosts as network namespaces joined by a virtual cable: agents across it, and the cable cut."""

import json
import os
import subprocess
import sys
import time
import unittest

from launchers import ASCERTAIN, CASE, SKIPPED, SOURCE, Launched, require


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


class Namespaces(Launched):
    def setUp(self):
        super().setUp()
        self.here, self.there = f"asc-a{os.getpid()}", f"asc-b{os.getpid()}"
        for name in (self.here, self.there):
            ip("netns", "add", name)
            self.addCleanup(subprocess.run, ["ip", "netns", "delete", name])
        ip("-n", self.here, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", self.there)
        for name, address in ((self.here, "10.77.0.1/24"), (self.there, "10.77.0.2/24")):
            ip("-n", name, "address", "add", address, "dev", "cable")
            for device in ("lo", "cable"):
                ip("-n", name, "link", "set", device, "up")
        self.key = self.folder / "agents.key"

    def start(self, namespace, *words):
        process = subprocess.Popen(["ip", "netns", "exec", namespace, ASCERTAIN, *map(str, words)],
                                   env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def lead(self):
        return self.start(self.here, *self.command(), "--nodes", "far", "--listen", "tcp://10.77.0.1:*", "--key",
                          self.key)

    def agent(self, *flags):
        return self.start(self.there, "agent", "--key", self.key, "--node", "far", "--device", "simulated:0", *flags)

    def test_a_case_is_answered_across_the_cable(self):
        agent, lead = self.agent(), self.lead()
        out, err = lead.communicate(timeout=300)
        self.assertEqual(lead.returncode, 0, out + err)
        agent.communicate(timeout=60)
        self.assertEqual(agent.returncode, 0)

    def test_a_cut_cable_is_noticed_by_both_ends(self):
        hang = (SOURCE / "data/defects/examples/hang.toml").read_text()
        (self.folder / "hang.toml").write_text(
            hang.replace('"bmm"', '"mm"').replace("after_calls = 4", "after_calls = 0"))
        (self.folder / "cases.json").write_text(json.dumps([CASE]))
        agent = self.agent("--defects", self.folder / "hang.toml", "--wait", "5s")
        lead = self.lead()
        for _ in range(600):
            if any('"required"' in path.read_text() for path in (self.folder / "run").rglob("*.jsonl")):
                break
            time.sleep(0.1)
        else:
            self.fail("the campaign did not begin")
        ip("-n", self.here, "link", "set", "cable", "down")
        out, err = lead.communicate(timeout=120)
        self.assertEqual(lead.returncode, 2, out + err)
        self.assertIn("far: no sign of life from its agent", (self.folder / "run/verdict.json").read_text())
        _, said = agent.communicate(timeout=60)
        self.assertEqual(agent.returncode, 69, said)


if __name__ == "__main__":
    require("ip")
    probe = subprocess.run(["ip", "netns", "add", f"asc-probe{os.getpid()}"], capture_output=True, text=True)
    if probe.returncode != 0:
        print("SKIPPED: no network namespaces here:", probe.stderr.strip())
        sys.exit(SKIPPED)
    ip("netns", "delete", f"asc-probe{os.getpid()}")
    unittest.main(verbosity=1)
