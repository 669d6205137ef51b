"""The worker serves the simulated device by the name the application gives, and refuses bad defects.

    python3 chips/simulated/worker_test.py BUILD_DIR
"""

import os
import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from ask_worker import Worker  # noqa: E402

BUILD = sys.argv[1]
EXAMPLES = ROOT / "data/defects/examples"


def start(defects=None, device="simulated:0"):
    """A worker whose chip has the defects of that file."""
    os.environ.pop("ASCERTAIN_DEFECTS", None)
    if defects is not None:
        os.environ["ASCERTAIN_DEFECTS"] = str(defects)
    return Worker(BUILD, device=device, libraries=["libascertain_simulated.so"])


class SimulatedWorker(unittest.TestCase):
    def test_the_name_alone_finds_the_plug_in(self):
        worker = start(device="simulated:1")
        described = worker.ask("describe")["result"]
        self.assertEqual(described["device"], "simulated:1")
        self.assertEqual(described["peers"], ["simulated:0"])
        worker.close()

    def test_a_bad_defect_file_is_refused_with_its_place(self):
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write('schema = "ascertain.defect/1"\n[[defect]]\nid = 3\n')
            file.flush()
            worker = start(file.name)
            self.assertEqual(worker.hello["refused"]["kind"], "library")
            self.assertIn(f"{file.name}:3:", worker.hello["refused"]["message"])
            worker.close()

    def test_two_workers_with_different_files_share_nothing(self):
        first, second = start(EXAMPLES / "zero-output.toml"), start(EXAMPLES / "hang.toml")
        for worker in (first, second):
            self.assertIn("result", worker.ask("describe"))
            worker.close()


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
