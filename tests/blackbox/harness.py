"""Runs the program as a person would and looks at what a person sees."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

ASCERTAIN = os.environ["ASCERTAIN"]
SOURCE = pathlib.Path(os.environ["ASCERTAIN_SOURCE"])
BUILD = pathlib.Path(os.environ["ASCERTAIN_BUILD"])
FIRST_LOOK = SOURCE / "data/campaigns/first-look.toml"


def run(*arguments, cwd=None, environment=None, timeout=300, stdin=subprocess.DEVNULL):
    """CompletedProcess with text output; the program must end by itself."""
    env = {**os.environ, "ASCERTAIN_HOME": str(SOURCE), "NO_COLOR": "1", **(environment or {})}
    return subprocess.run([ASCERTAIN, *map(str, arguments)], cwd=cwd, env=env, stdin=stdin, text=True,
                          capture_output=True, timeout=timeout, errors="replace")


class Case(unittest.TestCase):
    """A test with a folder of its own."""

    maxDiff = None

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ascertain-test-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content)
        return path

    def campaign(self, *changes, config=None):
        """The first-look campaign with texts replaced: campaign(("from", "to"), ...)."""
        text = FIRST_LOOK.read_text()
        model = config or SOURCE / "data/models/deepseek-r1.json"
        text = text.replace('"../models/deepseek-r1.json"', json.dumps(str(model)))
        for before, after in changes:
            self.assertIn(before, text)
            text = text.replace(before, after, 1)
        return self.write("campaign.toml", text)

    def assert_refused(self, result, code, *fragments):
        """One clear error on standard error, the right exit code, nothing on standard output."""
        self.assertEqual(result.returncode, code, result.stderr + result.stdout)
        self.assertEqual(result.stdout, "")
        lines = [line for line in result.stderr.splitlines() if line.startswith("ascertain: ")]
        self.assertEqual(len(lines), 1, f"one error line expected:\n{result.stderr}")
        for fragment in fragments:
            self.assertIn(fragment, lines[0])
        self.assertNotIn("terminate called", result.stderr)


def faults(schema_name, document):
    """What is wrong with a document, by its schema in data/schema."""
    import jsonschema

    schemas = {}
    for path in sorted((SOURCE / "data/schema").glob("*.schema.json")):
        schema = json.loads(path.read_text())
        schemas[schema.get("$id", path.name)] = schema

    def whole(part):
        if isinstance(part, list):
            return [whole(item) for item in part]
        if not isinstance(part, dict):
            return part
        if part.get("$ref") in schemas:
            return whole({key: value for key, value in schemas[part["$ref"]].items() if key != "$schema"})
        return {key: whole(value) for key, value in part.items()}

    schema = json.loads((SOURCE / f"data/schema/{schema_name}.schema.json").read_text())
    return [f"{list(error.absolute_path)}: {error.message}"
            for error in jsonschema.Draft202012Validator(whole(schema)).iter_errors(document)]


def verdict_of(out):
    return json.loads((pathlib.Path(out) / "verdict.json").read_text())
