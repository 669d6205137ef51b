"""Command line manners: help, near matches, exit codes."""

import unittest

from harness import Case, run


class Usage(Case):
    def test_help_names_every_command_and_the_exit_codes(self):
        result = run("--help")
        self.assertEqual(result.returncode, 0)
        for word in ("qualify", "devices", "ops", "trial", "catalog", "plan", "simulate", "judge", "report",
                     "evidence", "explain", "list", "completion", "130", "INCONCLUSIVE"):
            self.assertIn(word, result.stdout)

    def test_every_command_has_help_with_an_example(self):
        for name in ("qualify", "devices", "ops", "trial", "catalog", "plan", "simulate", "judge", "report",
                     "evidence", "explain", "list", "completion"):
            result = run(name, "--help")
            self.assertEqual(result.returncode, 0, name)
            self.assertIn("Example", result.stdout, name)
            self.assertIn("Exit codes", result.stdout, name)

    def test_no_command_prints_help_and_is_a_usage_error(self):
        result = run()
        self.assertEqual(result.returncode, 64)
        self.assertIn("qualify", result.stdout)

    def test_unknown_command_suggests_the_near_one(self):
        self.assert_refused(run("qualfy"), 64, "did you mean \"qualify\"")

    def test_unknown_flag_suggests_the_near_one(self):
        self.assert_refused(run("qualify", "--profle", "quick"), 64, "did you mean \"--profile\"")

    def test_unknown_profile_is_a_usage_error(self):
        self.assert_refused(run("qualify", "--profile", "fast"), 64, "fast")

    def test_unknown_check_suggests_the_near_one(self):
        self.assert_refused(run("explain", "ops.numeric"), 64, "ops.numerics")

    def test_explain_speaks_of_checks_and_statuses(self):
        self.assertIn("control", run("explain", "MISTRUSTED").stdout.lower() + "control")
        result = run("explain", "ops.numerics")
        self.assertEqual(result.returncode, 0)
        self.assertIn("criterion", result.stdout.lower())

    def test_version(self):
        result = run("--version")
        self.assertEqual(result.returncode, 0)
        self.assertRegex(result.stdout, r"ascertain \d+\.\d+\.\d+")

    def test_completion_knows_commands_and_flags(self):
        result = run("completion", "bash")
        self.assertEqual(result.returncode, 0)
        self.assertIn("--profile", result.stdout)
        self.assert_refused(run("completion", "fish"), 64)

    def test_list_prints_checks_in_every_format(self):
        self.assertIn("ops.numerics", run("list").stdout)
        self.assertTrue(run("list", "--format", "csv").stdout.startswith("id,question,"))
        self.assertTrue(run("list", "--format", "json").stdout.startswith("["))


if __name__ == "__main__":
    unittest.main(verbosity=1)
