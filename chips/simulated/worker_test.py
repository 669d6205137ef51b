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


VARIANTS = ROOT / "data/variants"


def start(defects=None, device="simulated:0", variant=None):
    """A worker whose chip has the defects of that file, and the arithmetic of that variant."""
    for name, value in (("ASCERTAIN_DEFECTS", defects), ("ASCERTAIN_VARIANT", variant)):
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = str(value)
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

    def test_a_variant_is_declared_before_anything_runs(self):
        plain = start()
        described = plain.ask("describe")["result"]
        self.assertIsNone(described["arithmetic"])
        self.assertTrue(described["arithmetic_reason"])
        plain.close()
        worker = start(variant=VARIANTS / "blocks-of-16.toml")
        declared = worker.ask("describe")["result"]["arithmetic"]
        self.assertEqual([declared["variant"], declared["products"]["block"], declared["index_sums"]],
                         ["blocks-of-16", 16, "ordered"])
        worker.close()

    def test_a_bad_variant_file_is_refused_with_its_place_and_the_near_match(self):
        good = (VARIANTS / "blocks-of-16.toml").read_text()
        for wrong, words in (
                (good.replace("block =", "blok ="), ["wrong.toml:7", "blok", "block"]),
                (good.replace("block = 16", 'block = 16, order = "descendin"'), ["wrong.toml:7", "descending"]),
                (good.replace("block = 16", "block = 0"), ["wrong.toml:7", "1 to"]),
                (good.replace("products", "sums"), ["wrong.toml:7", "lanes"]),
                (good, ["wrong.toml:2", "file's name"]),
                (good.replace("[arithmetic]", "[arithmetics]"), ["wrong.toml", "arithmetic"]),
                ("id = ", ["wrong.toml:1"])):
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder) / "wrong.toml"
                path.write_text(wrong if "file's name" in words else wrong.replace('"blocks-of-16"', '"wrong"'))
                worker = start(variant=path)
                self.assertEqual(worker.hello["refused"]["kind"], "library", wrong)
                for word in words:
                    self.assertIn(word, worker.hello["refused"]["message"])
                worker.close()

    def test_two_workers_with_different_files_share_nothing(self):
        first, second = start(EXAMPLES / "zero-output.toml"), start(EXAMPLES / "hang.toml")
        for worker in (first, second):
            self.assertIn("result", worker.ask("describe"))
            worker.close()


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
