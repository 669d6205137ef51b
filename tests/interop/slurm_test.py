"""deploy/ under the real Slurm: a slurmctld and two slurmd of one machine, started here."""

import os
import shutil
import socket
import subprocess
import time
import unittest

from launchers import DEPLOY, Launched, require


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Slurm(Launched):
    """Everything below a folder of its own, so that a Slurm of this machine is left alone."""

    def setUp(self):
        super().setUp()
        self.folder.chmod(0o755)
        self.daemons = []
        controller, first, second = free_ports(3)
        here = self.folder / "slurm"
        here.mkdir()
        key = here / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        munge = here / "munge.socket"
        self.start("munged", "-F", f"--key-file={key}", f"--socket={munge}", f"--pid-file={here}/munged.pid",
                   f"--log-file={here}/munged.log", f"--seed-file={here}/munged.seed", "--force")
        cores = len(os.sched_getaffinity(0))
        (here / "slurm.conf").write_text(f"""
ClusterName=ascertain
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={munge}
CryptoType=crypto/munge
StateSaveLocation={here}/state
SlurmdSpoolDir={here}/spool-%n
SlurmctldPidFile={here}/slurmctld.pid
SlurmdPidFile={here}/slurmd-%n.pid
SlurmctldLogFile={here}/slurmctld.log
SlurmdLogFile={here}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
ReturnToService=2
MpiDefault=none
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={first} CPUs={cores}
NodeName=n2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={second} CPUs={cores}
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
""")
        self.environment["SLURM_CONF"] = str(here / "slurm.conf")
        for _ in range(100):
            if munge.exists():
                break
            time.sleep(0.1)
        self.start("slurmctld", "-D", "-i")
        self.start("slurmd", "-D", "-N", "n1")
        self.start("slurmd", "-D", "-N", "n2")
        for _ in range(300):
            states = self.run_here("sinfo", "-h", "-N", "-o", "%T").stdout.split()
            if states == ["idle", "idle"]:
                return
            time.sleep(0.2)
        logs = "".join(path.read_text()[-2000:] for path in here.glob("*.log"))
        self.fail(f"Slurm did not come up: {states}\n{logs}")

    def start(self, *words):
        program = shutil.which(words[0], path=os.environ["PATH"] + ":/usr/sbin")
        daemon = subprocess.Popen([program, *words[1:]], env=self.environment, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        self.daemons.append(daemon)

    def tearDown(self):
        for daemon in reversed(self.daemons):
            daemon.terminate()
        for daemon in self.daemons:
            try:
                daemon.wait(timeout=10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        super().tearDown()

    def test_srun_starts_one_agent_per_node(self):
        result = self.run_here("srun", "-N2", "--ntasks-per-node=1", DEPLOY / "node.sh", *self.command())
        self.assert_passed_on(result, ["n1", "n2"])

    def test_the_exit_code_of_the_verdict_comes_through_sbatch(self):
        # What is skipped by choice can never qualify: INCONCLUSIVE, 2.
        self.environment["ASCERTAIN_DEPLOY"] = str(DEPLOY)
        result = self.run_here("sbatch", "-N2", "--wait", DEPLOY / "slurm.sbatch", self.folder / "campaign.toml",
                               "--only", "ops.battery.loss", "--out", self.folder / "run", timeout=600)
        log = "".join(path.read_text() for path in self.folder.glob("ascertain-*.log"))
        self.assertEqual(result.returncode, 2, result.stdout + result.stderr + log)
        self.assertIn("INCONCLUSIVE", log)
        self.assertIn("n2/simulated:0", log)

    def test_a_node_that_is_killed_is_named_and_the_campaign_ends(self):
        self.environment["ASCERTAIN_WAIT"] = "20s"
        # The second node's task ends before it can join.
        broken = self.folder / "broken.sh"
        broken.write_text(f'#!/bin/sh\n[ "$SLURM_PROCID" = 0 ] || exec sleep 60\nexec {DEPLOY}/node.sh "$@"\n')
        broken.chmod(0o755)
        result = self.run_here("srun", "-N2", "--ntasks-per-node=1", "--kill-on-bad-exit=1", broken, *self.command())
        self.assertEqual(result.returncode, 2, result.stdout + result.stderr)
        self.assertIn("absent-1", result.stderr)


if __name__ == "__main__":
    require("slurmctld", "slurmd", "srun", "munged")
    if os.geteuid() != 0:
        require("a-slurmd-that-needs-no-root")
    unittest.main(verbosity=1)
