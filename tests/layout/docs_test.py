"""What the documents say exists: flags, configuration keys, paths, metrics, commands, links."""

import os
import re
import subprocess
import tempfile
import unittest

from layout_test import FILES, ROOT, SOURCES, read

SERIN = os.environ.get("SERIN_BIN", os.path.join(ROOT, ".build/dev/proxy/serin"))
SERINCTL = os.environ.get("SERINCTL_BIN", os.path.join(ROOT, ".build/dev/proxy/serinctl"))
DOCUMENTS = [name for name in FILES if name.endswith(".md")]
# Files with commands and names in them that are not Markdown.
SPOKEN = [name for name in FILES if re.match(r"(deploy|conf)/", name) and not name.endswith((".php", ".py"))]
OUR_FOLDERS = r"(?:proxy|controller|conf|bench|tests|deploy|docs|\.ci|\.github)"
CODE = "\n".join(read(name) for name in SOURCES)


def blocks(text, *languages):
    """-> (language, content) of the fenced blocks in these languages."""
    return [(language, body) for language, body in re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S)
            if language in languages]


def help_of(program, *words):
    result = subprocess.run([program, *words, "--help"], capture_output=True, text=True, timeout=20, check=False)
    return result.stdout + result.stderr if result.returncode == 0 else None


def commands(text):
    """Each command of a shell block: continued lines joined, comments cut, split at && and |."""
    text = re.sub(r"\\\n\s*", " ", text)
    for line in text.splitlines():
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        line = re.sub(r"^\$ ", "", line)
        for command in re.split(r"\s(?:&&|\|\||\||;)\s", line):
            if command.strip():
                yield command.strip()


class CommandTest(unittest.TestCase):
    def shell_commands(self):
        for name in DOCUMENTS:
            for _, body in blocks(read(name), "sh", "bash", "console"):
                for command in commands(body):
                    yield name, command

    def test_every_serinctl_command_and_its_flags_exist(self):
        found = 0
        for name, command in self.shell_commands():
            words = re.sub(r"^(sudo\s+)", "", command).split()
            if os.path.basename(words[0]) != "serinctl":
                continue
            found += 1
            verbs = [word for word in words[1:] if not word.startswith("-")]
            with self.subTest("%s: %s" % (name, command)):
                text = help_of(SERINCTL, *verbs[:1])
                self.assertIsNotNone(text, "serinctl %s --help fails" % verbs[:1])
                for flag in re.findall(r"(?<!\S)(--?[a-zA-Z][\w-]*)", command):
                    self.assertIn(flag, text + (help_of(SERINCTL) or ""), flag)
        self.assertGreater(found, 0)

    def test_every_flag_of_serin_and_of_our_scripts_exists(self):
        for name, command in self.shell_commands():
            words = re.sub(r"^(sudo\s+)", "", command).split()
            program = {"serin": SERIN}.get(words[0]) or (
                os.path.join(ROOT, words[0]) if words[0].startswith(("deploy/", "tests/run", ".ci/")) else None)
            if program is None:
                continue
            with self.subTest("%s: %s" % (name, command)):
                text = help_of(program)
                self.assertIsNotNone(text)
                for flag in re.findall(r"(?<!\S)(--?[a-zA-Z][\w-]*)", command):
                    self.assertIn(flag, text, flag)

    def test_flags_named_in_running_text_exist_somewhere(self):
        known = (help_of(SERIN) or "") + (help_of(SERINCTL) or "") + "".join(
            read(name) for name in FILES if name.endswith(".sh") or name.startswith("tests/integration/"))
        verbs = re.findall(r"^  ([a-z]+)\b", help_of(SERINCTL) or "", re.M)
        known += "".join(help_of(SERINCTL, verb) or "" for verb in verbs)
        for name in DOCUMENTS:
            for flag in re.findall(r"`(?:serin|serinctl)?[^`\n]*?(--[a-z][\w-]+)[^`\n]*`", read(name)):
                if not re.match(r"--(unix-socket|preset|label|nodaemonize|build)", flag):
                    self.assertIn(flag, known, "%s in %s" % (flag, name))

    def test_every_program_has_help_that_exits_well(self):
        for program in (SERIN, SERINCTL, os.path.join(ROOT, "deploy/quickstart.sh"), os.path.join(ROOT, "tests/run.sh"),
                        os.path.join(ROOT, "deploy/install-packages.sh"), os.path.join(ROOT, "deploy/demo/traffic.py"),
                        os.path.join(ROOT, "deploy/demo/watch.py")):
            self.assertTrue(help_of(program), program)

    def test_presets_that_are_named_exist(self):
        presets = read("CMakePresets.json")
        for name in DOCUMENTS:
            for preset in re.findall(r"--preset (\w+)", read(name)):
                self.assertIn('"name": "%s"' % preset, presets, name)


class NamesTest(unittest.TestCase):
    def test_every_metric_that_is_named_exists(self):
        for name in DOCUMENTS + SPOKEN:
            for metric in set(re.findall(r"\bserin_[a-z0-9_]+(?:_total|_ratio|_seconds|_bucket|_count|_sum|_info|"
                                         r"_state|_step|_depth|_connections)\b", read(name))):
                stem = re.sub(r"_(bucket|count|sum)$", "", metric)
                self.assertIn(stem, CODE, "%s in %s" % (metric, name))

    def test_every_admin_path_that_is_named_exists(self):
        for name in DOCUMENTS + SPOKEN:
            for path in set(re.findall(r"/v1/[a-z/]+[a-z]", read(name))):
                stem = re.sub(r"/v1/pool/(blue|green)/", "/v1/pool/", path)
                parts = stem.split("/")
                self.assertTrue(stem in CODE or "/".join(parts[:3]) in CODE and parts[-1] in CODE,
                                "%s in %s" % (path, name))

    def test_every_path_that_is_named_exists(self):
        missing = []
        for name in DOCUMENTS + SPOKEN:
            for path in set(re.findall(r"[`(](%s/[\w./@-]*\w)[`)/]" % OUR_FOLDERS, read(name))):
                places = [os.path.join(ROOT, path), os.path.join(ROOT, os.path.dirname(name), path)]
                if not any(os.path.exists(place + ending) for place in places for ending in ("", ".h", ".cc")):
                    missing.append("%s in %s" % (path, name))
        self.assertEqual(missing, [])

    def test_every_link_leads_somewhere(self):
        missing = []
        for name in DOCUMENTS:
            for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", read(name)):
                if not re.match(r"[a-z]+:", target) and not os.path.exists(
                        os.path.join(ROOT, os.path.dirname(name), target)):
                    missing.append("%s in %s" % (target, name))
        self.assertEqual(missing, [])

    def test_every_term_is_explained_once(self):
        terms = re.findall(r"\*\*([\w ]+)\*\*", "\n".join(re.findall(r"^\| (\*\*.*?) \|", read("docs/terms.md"), re.M)))
        self.assertEqual(len(terms), len(set(terms)))
        for term in ("client", "backend", "pool", "split", "cohort", "step", "verdict", "decision", "epoch", "weight",
                     "stable", "canary", "rollout", "release"):
            self.assertIn(term, terms)


class ConfigurationTest(unittest.TestCase):
    def check(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(text)
            file.flush()
            result = subprocess.run([SERIN, "-t", "-c", file.name], capture_output=True, text=True, check=False,
                                    env={"PATH": os.environ["PATH"]})
            return result.returncode, result.stdout + result.stderr

    def test_every_key_in_a_toml_block_is_known(self):
        for name in DOCUMENTS:
            for _, body in blocks(read(name), "toml"):
                with self.subTest(name):
                    output = self.check(body)[1]
                    self.assertNotRegex(output, r"(?i)unknown|no such (key|section)", body)

    def test_the_reference_holds_with_every_default_written_out(self):
        """Each commented key, uncommented, is a valid line: a default cannot go stale unnoticed."""
        text = read("conf/serin.toml")
        active = re.sub(r"^#(?=[a-z_]+ = |\[)", "", text, flags=re.M)
        self.assertGreater(len(re.findall(r"^[a-z_]+ = ", active, re.M)), 60)
        output = self.check(active)[1]
        self.assertNotRegex(output, r"(?i)unknown|expected|must be a", output)

    def test_keys_named_like_section_key_exist(self):
        reference = read("conf/serin.toml")
        for name in DOCUMENTS + SPOKEN:
            for section, key in re.findall(r"\[([a-z.]+)\] ([a-z_]+)\b(?! =)", read(name)):
                section = section.replace("pools.green", "pools.blue")  # written out once
                section_text = re.search(r"^#?\[%s\]\n(.*?)(?=^#?\[|\Z)" % re.escape(section), reference, re.M | re.S)
                if section_text:  # else it is no section of ours: a systemd unit's, a Markdown link's
                    self.assertRegex(section_text.group(1), r"(?m)^#?%s = " % key, "[%s] %s in %s" % (section, key, name))


if __name__ == "__main__":
    unittest.main(verbosity=2)
