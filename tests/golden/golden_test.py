"""What the program prints for fixed inputs, word for word. A change shows in a diff.

    ASCERTAIN=... ASCERTAIN_SOURCE=... python3 tests/golden/golden_test.py --update
writes the expectations anew; look at the diff before you commit it.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ASCERTAIN = os.environ["ASCERTAIN"]
SOURCE = pathlib.Path(os.environ["ASCERTAIN_SOURCE"])
EXPECTED = SOURCE / "tests/golden/expected"

# File of the expectation: the command that prints it.
COMMANDS = {
    "help.txt": ["--help"],
    "help_qualify.txt": ["qualify", "--help"],
    "list.txt": ["list"],
    "explain_mistrusted.txt": ["explain", "MISTRUSTED"],
    "catalog_show.txt": ["catalog", "show", "ascend-910b2"],
    "plan_llama.csv": ["plan", "--model", "data/models/llama-3.1-70b.json", "--top", "3", "--format", "csv"],
    "judge_screened.json": ["judge", "RUN", "--format", "json"],
}


def printed(arguments):
    """Standard output; RUN stands for a copy of the recorded run, since judging may build its index."""
    with tempfile.TemporaryDirectory() as folder:
        run = pathlib.Path(folder) / "run"
        shutil.copytree(SOURCE / "tests/golden/run", run)
        words = [str(run) if word == "RUN" else word for word in arguments]
        result = subprocess.run([ASCERTAIN, *words], cwd=SOURCE, text=True, capture_output=True, timeout=120,
                                env={**os.environ, "ASCERTAIN_HOME": str(SOURCE), "NO_COLOR": "1"})
        return result.stdout


def rounded(text, name):
    """Simulated seconds to four digits: the last bits of exp and log differ between machines."""
    if not name.startswith("plan"):
        return text
    rows = []
    for line in text.splitlines():
        cells = []
        for cell in line.split(","):
            try:
                cells.append(f"{float(cell):.4g}")
            except ValueError:
                cells.append(cell)
        rows.append(",".join(cells))
    return "\n".join(rows) + "\n"


class Golden(unittest.TestCase):
    maxDiff = 4000

    def test_every_expectation_is_met(self):
        for name, arguments in COMMANDS.items():
            with self.subTest(name):
                self.assertEqual(rounded(printed(arguments), name), (EXPECTED / name).read_text())

    def test_the_recorded_run_verifies_and_is_inconclusive(self):
        verdict = json.loads(printed(["judge", "RUN", "--format", "json"]))
        self.assertEqual(verdict["verdict"], "INCONCLUSIVE")
        self.assertIn("fit their hashes", printed(["evidence", "verify", "RUN"]))


if __name__ == "__main__":
    if "--update" in sys.argv:
        EXPECTED.mkdir(exist_ok=True)
        for name, arguments in COMMANDS.items():
            (EXPECTED / name).write_text(rounded(printed(arguments), name))
    else:
        unittest.main(verbosity=1)
