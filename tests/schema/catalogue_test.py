"""The shipped catalogue of defects: complete, well formed, and expressible as far as was promised."""
import collections
import json
import os
import pathlib
import re
import tomllib
import unittest

import jsonschema

SOURCE = pathlib.Path(os.environ["ASCERTAIN_SOURCE"])
FOLDER = SOURCE / "data/defects"
SCHEMA = json.loads((SOURCE / "data/schema/defect.schema.json").read_text())
EXPRESSIBLE_SHARE = 0.85
EXPRESSIBLE_SHARE_OF_CLASS = 0.5


def promised():
    """{id: class} of the list."""
    lines = (FOLDER / "catalogue.txt").read_text().splitlines()
    return dict(line.split() for line in lines if line and line[0] != "#")


def entries():
    """(file, entry) of every shipped defect."""
    return [(path, entry) for path in sorted(FOLDER.glob("*.toml"))
            for entry in tomllib.loads(path.read_text())["defect"]]


class Catalogue(unittest.TestCase):
    def test_every_file_fits_the_schema(self):
        validator = jsonschema.Draft202012Validator(SCHEMA)
        for path in sorted(FOLDER.rglob("*.toml")):
            faults = [f"{list(error.absolute_path)}: {error.message}"
                      for error in validator.iter_errors(tomllib.loads(path.read_text()))]
            self.assertEqual(faults, [], path.name)

    def test_every_listed_defect_is_there_once_in_the_file_of_its_class(self):
        count = collections.Counter(entry["id"] for _, entry in entries())
        self.assertEqual([name for name, times in count.items() if times > 1], [])
        self.assertEqual(set(count), set(promised()))
        self.assertEqual(len(count), 151)
        for path, entry in entries():
            self.assertEqual(entry["class"], promised()[entry["id"]], entry["id"])
            self.assertEqual(path.stem, entry["class"], entry["id"])

    def test_most_are_expressible_and_half_of_every_class(self):
        classes = collections.defaultdict(list)
        for _, entry in entries():
            reason = entry.get("not_expressible")
            self.assertNotEqual(reason, "", entry["id"])
            classes[entry["class"]].append(reason is None)
        self.assertEqual(len(classes), 22)
        for name, can in classes.items():
            self.assertGreaterEqual(sum(can), EXPRESSIBLE_SHARE_OF_CLASS * len(can), name)
        everything = [one for can in classes.values() for one in can]
        self.assertGreaterEqual(sum(everything), EXPRESSIBLE_SHARE * len(everything))

    def test_every_effect_of_the_language_has_a_worked_example_and_a_line_in_its_page(self):
        shown = collections.defaultdict(set)
        for path in sorted((FOLDER / "examples").glob("*.toml")):
            for entry in tomllib.loads(path.read_text())["defect"]:
                for rule in entry.get("rule", [entry]):
                    place = next(key for key in ("operator", "collective", "point", "event") if key in rule["where"])
                    shown[place].add(rule["does"]["kind"])
        page = (SOURCE / "docs/defects.md").read_text()
        for place, title in (("operator", "an operator"), ("collective", "a collective"), ("point", "a point"),
                             ("event", "an event")):
            effects = {form["properties"]["kind"]["const"] for form in SCHEMA["$defs"][f"does_{place}"]["oneOf"]}
            self.assertEqual(effects - shown[place], set(), place)
            heading = "## does, at a point" if place == "point" else f"## does, of {title}"
            section = page.split(heading)[1].split("\n## ")[0]
            documented = {name for line in section.splitlines() if line.startswith("| `")
                          for name in re.findall(r"`(\w+)`", line.split("|")[1])}
            self.assertEqual(effects - documented, set(), place)

    def test_every_entry_says_what_is_known_about_it(self):
        for _, entry in entries():
            for field in ("summary", "source", "class", "plane", "remedy"):
                self.assertGreaterEqual(len(entry[field]), 3, f"{entry['id']}: {field}")


if __name__ == "__main__":
    unittest.main(verbosity=1)
