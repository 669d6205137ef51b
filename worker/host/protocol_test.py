"""Both hosts answer the same protocol the same way: hello, describe, replay, capture's errors, stop.

    python3 worker/host/protocol_test.py BUILD_DIR [PYTHON_WITH_TORCH]
"""

import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from ask_worker import Worker  # noqa: E402

BUILD = sys.argv[1]
PYTHON = sys.argv[2] if len(sys.argv) > 2 else None


def tensor(shape, storage):
    fill = {"family": "normal", "mean": 0.0, "std": 1.0, "low": -6.0, "high": 6.0, "share": 1.0}
    return {"tensor": {"dtype": "bf16", "shape": shape, "strides": [shape[1], 1],
                       "storage_offset": 0, "storage": storage, "fill": fill}}


PRODUCT = {"schema": "ascertain.case/1", "operator": "aten::mm", "overload": "",
           "phase": "forward", "module": "", "count": 1,
           "arguments": [tensor([64, 128], 0), tensor([128, 96], 1)], "cuts": [], "writes": []}


class Protocol:
    """The tests; a subclass says which host."""

    host = ""

    def setUp(self):
        self.worker = Worker(BUILD, host=self.host, python=PYTHON)

    def tearDown(self):
        self.worker.close()

    def test_hello_names_the_host(self):
        hello = self.worker.hello["hello"]
        self.assertEqual(hello["host"], self.host)
        self.assertEqual(hello["pid"], self.worker.process.pid)

    def test_describe_and_replay_are_answered(self):
        described = self.worker.ask("describe")["result"]
        self.assertIn("bf16", described["dtypes"])
        replayed = self.worker.ask("replay", {"case": PRODUCT, "seed": 1})["result"]
        values = {item["metric"]: item["value"] for item in replayed["observation"]}
        self.assertLess(values["share_not_correctly_rounded"], 0.005)
        self.assertEqual(values["nonfinite_mismatches"], 0)

    def test_errors_have_a_kind_and_the_worker_lives_on(self):
        bad = dict(PRODUCT, arguments=[tensor([64, 128], 0), tensor([127, 96], 1)])
        self.assertEqual(
            self.worker.ask("replay", {"case": bad, "seed": 1})["error"]["kind"], "device_error")
        self.assertEqual(self.worker.ask("sing")["error"]["kind"], "invalid_request")
        self.assertIn("result", self.worker.ask("describe"))

    def test_the_heart_beats_while_a_request_runs(self):
        beats = []
        real_read = self.worker.stream.readline

        def read_and_count():
            line = real_read()
            if b"heartbeat" in line:
                beats.append(line)
            return line

        self.worker.stream = _Reading(self.worker.stream, read_and_count)
        self.worker.ask("time", {"case": PRODUCT, "seed": 1, "repeats": 1, "warm_up": 0,
                                 "tamper": {"kind": "slow", "seconds": 2.5}})
        self.assertGreaterEqual(len(beats), 2)

    def test_stop_is_answered_and_ends_the_process(self):
        self.assertEqual(self.worker.ask("stop")["result"], {})
        self.assertEqual(self.worker.process.wait(), 0)


class _Reading:
    """The worker's stream with another readline."""

    def __init__(self, stream, readline):
        self._stream = stream
        self.readline = readline

    def __getattr__(self, name):
        return getattr(self._stream, name)


class ExecutableHost(Protocol, unittest.TestCase):
    host = "executable"


@unittest.skipUnless(PYTHON, "no Python beside this torch")
class PythonHost(Protocol, unittest.TestCase):
    host = "python"


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
