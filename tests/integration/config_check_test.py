"""A wrong configuration: each mistake with file, line and column, all of them at once, nothing started."""

import os
import re

from harness import SERIN, SerinCase, main, to_toml

# (section, line, what the message must name, column of the mistake or None)
MISTAKES = (
    ("server", 'workers = "many"', "workers"),
    ("server", "workers = -1", "workers"),
    ("server", "workres = 1", "workers"),                       # the suggestion
    ("rollout", 'steps = ["10%", "120%"]', "120%"),
    ("rollout", 'steps = ["50%", "25%"]', "25%"),
    ("rollout", "steps = []", "steps"),
    ("rollout", 'hold = "5 parsecs"', "5 parsecs"),
    ("rollout", 'hold = "-5m"', "-5m"),
    ("rollout", 'max_error_rate = "nought"', "nought"),
    ("rollout", "min_requests = 0.5", "min_requests"),
    ("rollout", 'initial_stable = "red"', "red"),
    ("split", 'key = "dice"', "dice"),
    ("split", 'key = "header:"', "header"),
    ("limits", 'body = "a lot"', "a lot"),
    ("admin", 'mode = "rw"', "rw"),
    ("metrics", 'address = "nowhere"', "nowhere"),
    ("nonsense", "x = 1", "nonsense"),
)


class CheckTest(SerinCase):
    def setUp(self):
        super().setUp()
        self.fakes_for_pools()
        self.good = self.config()

    def text_with(self, section, line):
        """A good file but for one line; -> (text, number of that line)."""
        config = {key: value for key, value in self.good.items() if key != section}
        lines = to_toml(config).splitlines() + ["[%s]" % section, line]
        return "\n".join(lines) + "\n", len(lines)

    def check(self, text, *arguments):
        path = self.write("serin.toml", text)
        result = self.command([SERIN, "-t", "-c", path, *arguments], check=False)
        return result.returncode, result.stdout + result.stderr

    def test_a_good_file_is_good(self):
        code, output = self.check(to_toml(self.good))
        self.assertEqual(code, 0, output)

    def test_each_mistake_is_named_with_its_place(self):
        for section, line, word in MISTAKES:
            with self.subTest(line):
                text, number = self.text_with(section, line)
                code, output = self.check(text)
                self.assertNotEqual(code, 0, output)
                where = number - 1 if section == "nonsense" else number
                self.assertRegex(output, r"serin\.toml:(%d|%d):\d+: " % (where, number))
                self.assertIn(word, output)

    def test_the_column_is_that_of_the_value(self):
        text, number = self.text_with("rollout", 'steps = ["10%", "120%"]')
        self.assertRegex(self.check(text)[1], r"serin\.toml:%d:17: " % number)

    def test_all_mistakes_are_told_at_once_and_in_order(self):
        config = {key: value for key, value in self.good.items() if key not in ("rollout", "split")}
        text = to_toml(config) + '[rollout]\nhold = "soon"\nwindow = "late"\n[split]\nkey = "dice"\n'
        code, output = self.check(text)
        self.assertNotEqual(code, 0)
        numbers = [int(number) for number in re.findall(r"serin\.toml:(\d+):\d+:", output)]
        self.assertEqual(len(set(numbers)), 3, output)
        self.assertEqual(numbers, sorted(numbers))

    def test_a_syntax_error_has_a_place_too(self):
        code, output = self.check("[server]\nworkers = = 2\n")
        self.assertNotEqual(code, 0)
        self.assertRegex(output, r"serin\.toml:2:\d+: ")

    def test_what_is_missing_is_said(self):
        config = {key: value for key, value in self.good.items() if key != "pools"}
        code, output = self.check(to_toml(config))
        self.assertNotEqual(code, 0)
        self.assertIn("pools", output)

    def test_a_file_that_is_not_there(self):
        result = self.command([SERIN, "-t", "-c", self.path("none.toml")], check=False)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("none.toml", result.stdout + result.stderr)

    def test_nothing_is_started_by_a_wrong_file(self):
        text, _ = self.text_with("rollout", 'hold = "soon"')
        path = self.write("serin.toml", text)
        result = self.command([SERIN, "-c", path], check=False, timeout=15)
        self.assertNotEqual(result.returncode, 0)
        for name in ("http.sock", "admin.sock"):
            self.assertFalse(os.path.exists(self.path(name)), name)
        self.assertEqual(os.listdir(self.path("state")), [])

    def test_checking_starts_nothing_either(self):
        self.assertEqual(self.check(to_toml(self.good))[0], 0)
        self.assertFalse(os.path.exists(self.path("http.sock")))
        self.assertEqual(os.listdir(self.path("state")), [])

    def test_a_mistake_in_a_variable_or_a_flag_names_it(self):
        path = self.write("serin.toml", to_toml(self.good))
        result = self.command([SERIN, "-t", "-c", path], check=False,
                              env=dict(os.environ, SERIN_ROLLOUT_HOLD="soon"))
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("SERIN_ROLLOUT_HOLD", result.stdout + result.stderr)

    def test_the_shipped_example_is_valid_but_for_its_folders(self):
        conf = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "conf")
        names = [name for name in os.listdir(conf) if name.endswith(".toml")]
        self.assertIn("serin.toml", names)
        for name in names:
            result = self.command([SERIN, "-t", "-c", os.path.join(conf, name)], check=False)
            self.assertEqual(result.returncode, 0, name + "\n" + result.stdout + result.stderr)


if __name__ == "__main__":
    main()
