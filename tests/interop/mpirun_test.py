"""deploy/node.sh under the real mpirun, two ranks."""

import unittest

from launchers import DEPLOY, Launched, require


class Mpirun(Launched):
    def test_two_ranks_are_two_nodes(self):
        self.environment["ASCERTAIN_NODE_RANKED"] = "1"
        self.environment["ASCERTAIN_NODE"] = "n"
        result = self.run_here("mpirun", "--allow-run-as-root", "--oversubscribe", "-np", 2, DEPLOY / "node.sh",
                               *self.command())
        self.assert_passed_on(result, ["n-0", "n-1"])


if __name__ == "__main__":
    require("mpirun")
    unittest.main(verbosity=1)
