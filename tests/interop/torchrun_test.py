"""deploy/node.sh under the real torchrun --no-python: two launchers, as on two nodes."""

import os
import pathlib
import shutil
import socket
import subprocess
import sys
import unittest

from launchers import DEPLOY, SKIPPED, Launched


def torchrun():
    """The one that belongs to the torch under test, else any."""
    torch = pathlib.Path(os.environ.get("TORCH_DIR", ""))
    beside = torch.parents[3] / "bin/torchrun" if len(torch.parents) > 3 else None
    return str(beside) if beside and beside.exists() else shutil.which("torchrun")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Torchrun(Launched):
    def test_two_launchers_are_two_nodes(self):
        self.environment["ASCERTAIN_NODE_RANKED"] = "1"
        self.environment["ASCERTAIN_NODE"] = "n"
        self.environment["ASCERTAIN_LISTEN"] = "tcp://127.0.0.1:*"
        port = free_port()
        words = [torchrun(), "--no-python", "--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d",
                 f"--rdzv-endpoint=127.0.0.1:{port}", "--rdzv-id=ascertain", str(DEPLOY / "node.sh"), *self.command()]
        second = subprocess.Popen(words, cwd=self.folder, env=self.environment, text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
        self.addCleanup(second.kill)
        first = self.run_here(*words)
        said, _ = second.communicate(timeout=120)
        first.stdout += said
        self.assert_passed_on(first, ["n-0", "n-1"])
        self.assertEqual(second.returncode, 0, said)


if __name__ == "__main__":
    if torchrun() is None:
        print("SKIPPED: not installed here: torchrun")
        sys.exit(SKIPPED)
    unittest.main(verbosity=1)
