"""Adding a thing touches few files: a dummy of each kind is added to a scratch copy, which must build."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ["ASCERTAIN_SOURCE"])


class CostOfChange(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ascertain-change-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        for name in ("src", "cmake", "CMakeLists.txt", "data", "docs"):
            source = SOURCE / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, self.folder / name)
        for name in ("worker", "tests", "bench", "chips"):
            (self.folder / name).mkdir()
            (self.folder / name / "CMakeLists.txt").write_text("")
        self.touched = set()

    def edit(self, name, before, after):
        path = self.folder / name
        text = path.read_text()
        self.assertIn(before, text, name)
        path.write_text(text.replace(before, after, 1))
        self.touched.add(name)

    def add(self, name, text):
        (self.folder / name).write_text(text)
        self.touched.add(name)

    def build(self, *targets):
        build = self.folder / "build"
        subprocess.run(["cmake", "-S", self.folder, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug",
                        "-DASCERTAIN_WORKER=OFF", "-DASCERTAIN_TESTS=OFF"], check=True, capture_output=True)
        subprocess.run(["cmake", "--build", build, "--target", *targets, "-j2"], check=True, capture_output=True)

    def test_a_check_is_its_file_its_line_in_cmake_its_declaration_and_its_row(self):
        self.add("src/measure/checks/dummy.cpp",
                 '#include "measure/checks/steps.hpp"\n\nnamespace ascertain::checks {\n\n'
                 "Step dummy(const Context&, const Json&, std::span<const Answer>) { return Done{}; }\n\n"
                 "}  // namespace ascertain::checks\n")
        self.edit("src/measure/checks/CMakeLists.txt", "device_identity.cpp", "device_identity.cpp dummy.cpp")
        self.edit("src/measure/checks/steps.hpp", "Step device_identity(",
                  "Step dummy(const Context& context, const Json& state, std::span<const Answer> answers);\n"
                  "Step device_identity(")
        self.edit("src/measure/checks/all.cpp", "constexpr std::array kAll{",
                  'constexpr std::array kAll{\n    Definition{.id = "device.dummy", .asks = "Does a dummy build?",\n'
                  '               .question = Question::kCompute, .family = "dummy", .tamper = "",\n'
                  "               .cost = {0.1}, .step = dummy},")
        self.build("ascertain_measure_checks")
        self.assertLessEqual(len(self.touched), 4)

    def test_a_chip_is_one_file(self):
        text = (self.folder / "data/chips/ascend-910b2.toml").read_text()
        self.add("data/chips/dummy.toml", text.replace('id = "ascend-910b2"', 'id = "dummy"', 1))
        self.assertEqual(len(self.touched), 1)


if __name__ == "__main__":
    unittest.main(verbosity=1)
