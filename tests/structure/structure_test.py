"""The house rules that a machine can hold: who includes whom, what is banned where, what must exist."""

import os
import pathlib
import re
import unittest

SOURCE = pathlib.Path(os.environ["ASCERTAIN_SOURCE"])
BUILD = pathlib.Path(os.environ["ASCERTAIN_BUILD"])

INCLUDE = re.compile(r'^\s*#\s*include\s+["<]([^">]+)[">]', re.MULTILINE)
TORCH = re.compile(r"^(ATen|c10|torch|caffe2)/")
# What is banned outside app, and what to write instead.
BANNED = {
    r"\bstd::(cout|cerr|clog)\b": "return a Result; only app prints",
    r"(?<![\w:.>])printf\s*\(": "return a Result; only app prints",
    r"\bfmt::print\s*\(": "return a Result; only app prints",
    r"(?<![\w.>:])(std::|::)?exit\s*\(": "return a Result; only app exits",
    r"(?<![\w.>])std::abort\s*\(": "ASCERTAIN_ASSERT",
    r"\busing namespace\b": "name what you use",
}
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")


def rooms():
    """{"predict/cost": {"base", "model", ...}}, as CMake was told."""
    declared = {}
    for line in (BUILD / "rooms.txt").read_text().splitlines():
        if line.strip():
            name, _, uses = line.partition(":")
            declared[name.strip()] = set(uses.split())
    return declared


def room_of(path, declared):
    """The innermost declared room that holds `path` (relative to src), or None."""
    for parent in pathlib.PurePosixPath(path).parents:
        if str(parent) in declared:
            return str(parent)
    return None


def sources(*folders):
    for folder in folders:
        for path in sorted((SOURCE / folder).rglob("*")):
            if path.suffix in (".cpp", ".hpp", ".in"):
                yield path


def closure(room, declared):
    seen = set()
    queue = [room]
    while queue:
        for used in declared.get(queue.pop(), ()):
            if used not in seen:
                seen.add(used)
                queue.append(used)
    return seen


def without_comments(text):
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)


class Structure(unittest.TestCase):
    def test_rooms_are_declared(self):
        self.assertIn("base", rooms())
        self.assertGreater(len(rooms()), 8)

    def test_rooms_include_only_rooms_they_declare(self):
        declared = rooms()
        wrong = []
        for path in sources("src"):
            relative = path.relative_to(SOURCE / "src").as_posix()
            room = room_of(relative, declared)
            self.assertIsNotNone(room, f"{relative} belongs to no room")
            allowed = declared[room] | {room}
            for name in INCLUDE.findall(path.read_text()):
                target = room_of(name, declared)
                if target and target not in allowed:
                    wrong.append(f"src/{relative} includes {name}, but {room} does not declare {target}")
        self.assertEqual(wrong, [])

    def test_measure_and_predict_never_see_each_other_and_nobody_sees_app(self):
        declared = rooms()
        for room in declared:
            reach = closure(room, declared)
            if room.startswith("measure/"):
                self.assertFalse([r for r in reach if r.startswith(("predict/", "decide/"))], room)
            if room.startswith("predict/"):
                self.assertFalse([r for r in reach if r.startswith(("measure/", "decide/"))], room)
            if room.startswith("decide/"):
                self.assertFalse([r for r in reach if not r.startswith(("decide/", "base"))], room)
            self.assertNotIn("app", reach, room)

    def test_the_worker_uses_base_defects_and_model_only(self):
        declared = rooms()
        wrong = []
        for path in sources("worker", "chips"):
            for name in INCLUDE.findall(path.read_text()):
                target = room_of(name, declared)
                if target and target not in ("base", "defects", "model"):
                    wrong.append(f"{path.relative_to(SOURCE)} includes {name}")
        self.assertEqual(wrong, [])

    def test_torch_headers_stay_in_worker_and_chips(self):
        wrong = [f"{path.relative_to(SOURCE)} includes {name}" for path in sources("src", "bench", "tests")
                 for name in INCLUDE.findall(path.read_text()) if TORCH.match(name)]
        self.assertEqual(wrong, [])

    def test_only_app_prints_and_exits(self):
        wrong = []
        for path in sources("src"):
            relative = path.relative_to(SOURCE).as_posix()
            if relative.startswith("src/app/") or relative == "src/base/assert.cpp" or "_test" in relative \
                    or "/testing/" in relative:
                continue
            code = without_comments(path.read_text())
            for pattern, instead in BANNED.items():
                if re.search(pattern, code):
                    wrong.append(f"{relative}: {pattern}: {instead}")
        self.assertEqual(wrong, [])

    def test_every_room_opens_with_a_readme_of_one_screen(self):
        for room in rooms():
            readme = SOURCE / "src" / room / "README.md"
            self.assertTrue(readme.exists(), f"src/{room} has no README.md")
            lines = readme.read_text().splitlines()
            self.assertLess(len(lines), 60, f"src/{room}/README.md is longer than a screen")
            self.assertTrue(lines[0].startswith("# "), room)

    def test_nothing_unfinished_and_no_foreign_paths(self):
        wrong = []
        for folder in ("src", "worker", "chips", "docs", "tests", "tools", "cmake", "bench"):
            for path in sorted((SOURCE / folder).rglob("*")):
                if path.is_file() and path.suffix in (".cpp", ".hpp", ".py", ".md", ".sh", ".cmake", ".txt", ".js"):
                    if UNFINISHED.search(path.read_text(errors="replace")):
                        wrong.append(str(path.relative_to(SOURCE)))
        self.assertEqual(wrong, [])

    def test_the_check_table_and_the_files_agree(self):
        folder = SOURCE / "src/measure/checks"
        table = (folder / "all.cpp").read_text()
        listed = (folder / "CMakeLists.txt").read_text()
        for path in folder.glob("*.cpp"):
            if path.name.endswith("_test.cpp") or path.name in ("all.cpp", "testing.cpp"):
                continue
            self.assertIn(path.name, listed, f"{path.name} is not in CMake")
        ids = re.findall(r'\.id = "([^"]+)"', table) or re.findall(r'"([a-z]+\.[a-z_.]+)"', table)
        self.assertGreater(len(ids), 5)
        self.assertEqual(len(ids), len(set(ids)), "an id appears twice")

    def test_every_command_is_listed_and_documented(self):
        folder = SOURCE / "src/app/commands"
        table = (folder / "all.cpp").read_text()
        for path in folder.glob("*.cpp"):
            if path.name != "all.cpp":
                self.assertIn(path.name, (SOURCE / "src/app/CMakeLists.txt").read_text())
        self.assertGreater(table.count('{"'), 5)

    def test_every_cited_formula_is_there(self):
        text = (SOURCE / "docs/formulas.md").read_text()
        anchors = set(re.findall(r"\{#([a-z0-9-]+)\}", text))
        for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
            plain = re.sub(r"\{#.*\}", "", heading).strip().lower()
            anchors.add(re.sub(r"[^a-z0-9 -]", "", plain).replace(" ", "-"))
        missing = []
        for folder in ("src", "worker", "data/criteria", "docs/decisions"):
            for path in sorted((SOURCE / folder).rglob("*.*")):
                if path.suffix in (".cpp", ".hpp", ".toml", ".md"):
                    for anchor in re.findall(r"docs/formulas\.md#([a-z0-9-]+)", path.read_text()):
                        if anchor not in anchors:
                            missing.append(f"{path.relative_to(SOURCE)}: #{anchor}")
        self.assertEqual(missing, [])

    def test_sources_are_of_one_idea(self):
        long = []
        for path in sources("src", "worker", "chips"):
            relative = path.relative_to(SOURCE).as_posix()
            if relative.endswith("_test.cpp") or "/testing/" in relative:
                continue
            count = len(path.read_text().splitlines())
            if count > 600:
                long.append(f"{relative}: {count} lines")
        self.assertEqual(long, [])


if __name__ == "__main__":
    unittest.main(verbosity=1)
