"""Every document this program emits fits its schema, and the schemas refuse what they must."""
import copy
import hashlib
import json
import os
import pathlib
import subprocess
import tempfile
import tomllib
import unittest

import jsonschema

SOURCE = pathlib.Path(os.environ["ASCERTAIN_SOURCE"])
SCHEMAS = {path.name.removesuffix(".schema.json"): json.loads(path.read_text())
           for path in sorted((SOURCE / "data/schema").glob("*.schema.json"))}
BY_ID = {schema["$id"]: schema for schema in SCHEMAS.values() if "$id" in schema}


def whole(schema):
    """The schema with references to other files put in place, whatever jsonschema's version."""
    if isinstance(schema, list):
        return [whole(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("$ref") in BY_ID:
        return whole({key: value for key, value in BY_ID[schema["$ref"]].items() if key[0] != "$"})
    return {key: whole(value) for key, value in schema.items()}


def faults(name, document):
    validator = jsonschema.Draft202012Validator(whole(SCHEMAS[name]))
    return [f"{list(error.absolute_path)}: {error.message}"
            for error in validator.iter_errors(document)]


class Documents(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        subprocess.run([os.environ["JUDGE_DOCUMENTS"], cls.folder.name], check=True)
        cls.files = sorted(pathlib.Path(cls.folder.name).iterdir())

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def verdict(self, name):
        return json.loads((pathlib.Path(self.folder.name) / f"{name}.verdict.json").read_text())

    def test_every_schema_is_one(self):
        for schema in SCHEMAS.values():
            jsonschema.Draft202012Validator.check_schema(schema)

    def test_every_emitted_verdict_fits(self):
        verdicts = [path for path in self.files if path.name.endswith(".verdict.json")]
        self.assertEqual(len(verdicts), 3)
        for path in verdicts:
            self.assertEqual(faults("verdict", json.loads(path.read_text())), [], path.name)

    def test_every_record_fits_and_any_program_can_check_its_hash(self):
        count = 0
        for path in self.files:
            if not path.name.endswith(".record.jsonl"):
                continue
            previous = "0" * 64
            for line in path.read_bytes().splitlines():
                record = json.loads(line)
                self.assertEqual(faults("record", record), [], line)
                hashed = line.rsplit(b',"hash":"', 1)[0]
                self.assertEqual(hashlib.sha256(hashed).hexdigest(), record["hash"])
                self.assertEqual(record["previous"], previous)
                previous = record["hash"]
                count += 1
        self.assertGreater(count, 30)

    def test_every_criteria_file_fits(self):
        files = sorted((SOURCE / "data/criteria").glob("*.toml"))
        self.assertGreaterEqual(len(files), 4)
        for path in files:
            self.assertEqual(faults("criterion", tomllib.loads(path.read_text())), [], path.name)

    def test_every_healthy_variant_fits_and_is_named_as_its_file(self):
        files = sorted((SOURCE / "data/variants").glob("*.toml"))
        self.assertGreaterEqual(len(files), 15)
        for path in files:
            variant = tomllib.loads(path.read_text())
            self.assertEqual(faults("variant", variant), [], path.name)
            self.assertEqual(variant["id"], path.stem)
        for wrong in ({"blok": 16}, {"block": 0}, {"order": "descendin"}):
            broken = copy.deepcopy(variant) | {"arithmetic": {"products": wrong}}
            self.assertNotEqual(faults("variant", broken), [], wrong)

    def test_the_three_runs_mean_what_they_should(self):
        self.assertEqual(self.verdict("qualified")["verdict"], "QUALIFIED")
        self.assertEqual(self.verdict("troubled")["verdict"], "NOT_QUALIFIED")
        self.assertEqual(self.verdict("empty")["verdict"], "INCONCLUSIVE")
        statuses = {check["status"] for check in self.verdict("troubled")["checks"]}
        self.assertGreaterEqual(len(statuses), 7, statuses)

    def test_a_green_verdict_with_anything_against_it_is_refused(self):
        green = self.verdict("qualified")
        for spoil in (
            lambda v: v["blockers"].append({"check": "a", "reason": "b", "remedy": "c", "records": []}),
            lambda v: v["required"].clear(),
            lambda v: v["checks"][0].update(status="UNTESTED", reason="never ran"),
            lambda v: v["scope"].update(valid_until=None, valid_until_reason="none"),
            lambda v: v["checks"][0].update(status="FAILED", reason=""),
            lambda v: v.update(verdict="PASS"),
            lambda v: v.pop("questions"),
            lambda v: v["checks"][0]["observation"][0].update(value=None),
        ):
            spoilt = copy.deepcopy(green)
            spoil(spoilt)
            self.assertNotEqual(faults("verdict", spoilt), [])


class AgentMessages(unittest.TestCase):
    def setUp(self):
        said = subprocess.run([os.environ["AGENT_DOCUMENTS"]], check=True, capture_output=True, text=True).stdout
        self.messages = [json.loads(line) for line in said.splitlines()]

    def test_every_message_fits(self):
        self.assertEqual(len(self.messages), 11)
        for message in self.messages:
            self.assertEqual(faults("agent_message", message), [], message)

    def test_a_slip_is_refused(self):
        for message in self.messages:
            self.assertNotEqual(faults("agent_message", {**message, "extra": 1}), [], message)


if __name__ == "__main__":
    unittest.main()
