"""The shape of the tree: which part may see which, sizes, and what must not be in it."""

import os
import re
import shutil
import subprocess
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

TOP_LEVEL = {"CMakeLists.txt", "CMakePresets.json", "README.md", "proxy", "controller", "conf", "bench", "tests",
             "deploy", "docs"}  # and dot-files

STATIONS = ("accept", "parse", "route", "fastcgi", "respond", "observe")
SHARED = ("message", "cgi_param", "session", "settings", "event_loop", "socket")  # what the stations hand each other
JOINTS = ("exchange", "exchange_end", "shadow", "worker")   # the only ones in the data plane that see several stations

# Part → the parts it may include. A part not named as a key is the application, which may see all.
MAY_SEE = {
    "base": {"base"},
    "split": {"base", "split"},
    "controller": {"base", "split", "controller"},
    "shared": {"base", "split", "shared"},
    "joint": {"base", "split", "shared", "joint", *STATIONS},
    **{station: {"base", "split", "shared", station} for station in STATIONS},
}

# Library → the files it may appear in, and headers that give it away.
LIBRARIES = {
    "libevent": (r"event2/|event\.h", r"proxy/event_loop\.(h|cc)"),
    "llhttp": (r"llhttp\.h", r"proxy/parse/\w+\.cc"),
    "nghttp2": (r"nghttp2/", r"proxy/parse/\w*(http2|h2)\w*\.(h|cc)"),
    "OpenSSL": (r"openssl/", r"proxy/accept/tls\w*\.(h|cc)"),
    "toml++": (r"toml\+\+/", r"proxy/config/\w+\.(h|cc)"),
    "nlohmann json": (r"nlohmann/", r"proxy/(admin/\w+|serinctl|ctl/\w+)\.(h|cc)"),
    "prometheus-cpp": (r"prometheus/", r"proxy/admin/\w*metrics\w*\.(h|cc)"),
    "CLI11": (r"CLI/", r"proxy/(main|serinctl|ctl/\w+)\.(h|cc)"),
    "libcurl": (r"curl/", r"proxy/(admin/\w*webhook\w*|serinctl|ctl/\w+)\.(h|cc)"),
    "spdlog": (r"spdlog/", r"proxy/base/log\.cc"),
}
FEW = 3  # nouns per library, each a header and its source

FUNCTION_LINES = 70
FILE_LINES = {".cc": 400, ".h": 200}
# Files beyond the habit, with the length they may not exceed. Only ever shrinks: when a file falls
# below, lower its number; when it is within the habit, delete its line.
LONGER = {}


def tracked_files():
    """The repository's files, or, without git, those that are not built."""
    if shutil.which("git"):
        result = subprocess.run(["git", "-C", ROOT, "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others",
                                 "--exclude-standard"], capture_output=True, text=True, check=False)
        if result.returncode == 0:
            return sorted(name for name in result.stdout.split("\0")
                          if name and os.path.exists(os.path.join(ROOT, name)))
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in (".git", ".build", "node_modules", "__pycache__")]
        found += [os.path.relpath(os.path.join(folder, name), ROOT) for name in files]
    return sorted(found)


FILES = tracked_files()
SOURCES = [name for name in FILES if re.match(r"(proxy|controller)/.*\.(h|cc)$", name)]


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8", errors="replace") as file:
        return file.read()


def includes(name):
    return re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', read(name), re.M)


def part_of(name):
    """Which part of the picture a file of ours belongs to."""
    pieces = name.split("/")
    if pieces[0] == "controller":
        return "controller"
    if len(pieces) == 2:
        stem = os.path.splitext(pieces[1])[0]
        return "shared" if stem in SHARED else "joint" if stem in JOINTS else "app"
    return pieces[1]


def without_comments_and_strings(text):
    def blank(match):
        found = match.group(0)
        return re.sub(r"[^\n]", " ", found) if found[0] == "/" else '""' + "\n" * found.count("\n")
    return re.sub(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'',
                  blank, text, flags=re.S)


def functions(text):
    """-> (first line, lines, what stands before the brace) of each function definition."""
    text = without_comments_and_strings(text)
    text = re.sub(r"^[ \t]*#[^\n]*(?:\\\n[^\n]*)*", lambda m: re.sub(r"[^\n]", " ", m.group(0)), text, flags=re.M)
    stack, since, line, out = [], 0, 1, []
    for at, char in enumerate(text):
        if char == "\n":
            line += 1
        elif char == "{":
            before = text[since:at].strip()
            scope = re.search(r"\b(namespace|class|struct|enum|union|extern)\b[^()]*$", before)
            inside = any(kind == "function" for kind, *_ in stack)
            kind = "function" if "(" in before and not scope and not inside and not before.endswith("=") else "other"
            stack.append((kind, line - before.count("\n"), before))
            since = at + 1
        elif char == "}":
            if stack:
                kind, first, before = stack.pop()
                if kind == "function":
                    out.append((first, line - first + 1, " ".join(before.split())[-100:]))
            since = at + 1
        elif char == ";":
            since = at + 1
    return out


class ArrowsTest(unittest.TestCase):
    def test_each_part_sees_only_what_it_may(self):
        wrong = []
        for name in SOURCES:
            allowed = MAY_SEE.get(part_of(name))
            for header in includes(name):
                if re.match(r"(proxy|controller|bench|tests|conf)/", header) and allowed is not None \
                        and part_of(header) not in allowed:
                    wrong.append("%s includes %s" % (name, header))
        self.assertEqual(wrong, [])

    def test_includes_are_written_from_the_root(self):
        wrong = []
        for name in FILES:
            if name.endswith((".h", ".cc")):
                for header in re.findall(r'^\s*#\s*include\s*"([^"]+)"', read(name), re.M):
                    if not re.match(r"(proxy|controller|bench|tests|absl)/", header):
                        wrong.append('%s includes "%s"' % (name, header))
        self.assertEqual(wrong, [])

    def test_the_controller_knows_no_system_and_no_library_but_absl_and_fmt(self):
        wrong = ["%s includes %s" % (name, header) for name in SOURCES if name.startswith("controller/")
                 for header in includes(name)
                 if re.match(r"sys/socket|sys/epoll|netinet|arpa|event|toml|prometheus|nlohmann|spdlog|CLI|curl|openssl",
                             header)]
        self.assertEqual(wrong, [])

    def test_each_library_stays_in_its_few_files(self):
        for library, (headers, places) in LIBRARIES.items():
            users = {name for name in SOURCES for header in includes(name) if re.match(headers, header)}
            with self.subTest(library):
                self.assertEqual([name for name in users if not re.fullmatch(places, name)], [])
                self.assertLessEqual(len({os.path.splitext(name)[0] for name in users}), FEW, sorted(users))

    def test_what_a_part_may_not_use(self):
        rules = {r"\bthrow\b": "we throw nothing", r"absl::Mutex": "false races under ThreadSanitizer",
                 r"\bevhttp": "smuggling and trailer CVEs", r"\busing namespace (std|absl)\b": "hides where a name is from",
                 r"\b(strcpy|strcat|sprintf|gets|alloca)\s*\(": "unbounded"}
        wrong = ["%s: unfinished" % name for name in SOURCES if re.search(r"\b(TODO|FIXME|XXX)\b", read(name))]
        for name in SOURCES:
            code = without_comments_and_strings(read(name))
            wrong += ["%s: %s (%s)" % (name, pattern, why) for pattern, why in rules.items() if re.search(pattern, code)]
        self.assertEqual(wrong, [])


class SizeTest(unittest.TestCase):
    def test_a_function_fits_a_screen(self):
        wrong = []
        for name in SOURCES:
            wrong += ["%s:%d: %d lines: %s" % (name, first, lines, what)
                      for first, lines, what in functions(read(name)) if lines > FUNCTION_LINES]
        self.assertEqual(wrong, [])

    def test_files_keep_to_the_habit_and_exceptions_only_shrink(self):
        wrong = []
        for name in SOURCES:
            lines, limit = read(name).count("\n"), FILE_LINES[os.path.splitext(name)[1]]
            if lines > LONGER.get(name, limit):
                wrong.append("%s: %d lines, limit %d" % (name, lines, LONGER.get(name, limit)))
            elif name in LONGER and lines <= limit:
                wrong.append("%s is within %d lines now: take it out of LONGER" % (name, limit))
        wrong += ["%s is no more: take it out of LONGER" % name for name in LONGER if name not in SOURCES]
        self.assertEqual(wrong, [])

    def test_the_function_counter_counts(self):
        text = "namespace a {\nstruct B {\n  int F() { return 1; }\n  B() : x_{1}, y_(2) {\n    if (x) {\n    }\n  }\n};\n" \
               'void G(int a,\n       int b) {\n  auto f = [] {\n    return "{";\n  };\n}\nconst int k[] = {1, 2};\n}\n'
        self.assertEqual([lines for _, lines, what in functions(text) if not what.endswith("x_")], [1, 4, 6])


class TreeTest(unittest.TestCase):
    def test_the_top_level_holds_what_it_should(self):
        top = {name.split("/")[0] for name in FILES}
        self.assertEqual({name for name in top if not name.startswith(".")} - TOP_LEVEL, set())

    def test_no_file_knows_a_machine(self):
        """Paths of somebody's home or workplace have no business in a repository."""
        pattern = re.compile(r"(?<![\w./$}-])/(work|root|home/\w+|Users|mnt)/[\w.-]")
        wrong = []
        for name in FILES:
            if name != "tests/layout/layout_test.py" and not re.search(r"\.(png|ico|woff2?|bin)$|/corpus/", name):
                wrong += ["%s:%d: %s" % (name, number, line.strip()[:100])
                          for number, line in enumerate(read(name).splitlines(), 1) if pattern.search(line)]
        self.assertEqual(wrong, [])

    def test_every_header_begins_with_pragma_once_and_says_what_it_is(self):
        wrong = []
        for name in SOURCES:
            if name.endswith(".h") and not re.match(r"#pragma once\n// \S", read(name)):
                wrong.append(name)
        self.assertEqual(wrong, [])

    def test_names_are_in_snake_case(self):
        wrong = [name for name in FILES if re.match(r"(proxy|controller|bench|tests)/", name)
                 and name.endswith((".h", ".cc", ".py")) and not re.fullmatch(r"[a-z0-9_]+\.\w+", os.path.basename(name))]
        self.assertEqual(wrong, [])

    def test_every_unit_test_mirrors_a_folder(self):
        wrong = []
        for name in FILES:
            match = re.fullmatch(r"tests/(\w+)/\w+_test\.cc", name)
            if match and not any(os.path.isdir(os.path.join(ROOT, top, match.group(1))) for top in ("proxy",)) \
                    and match.group(1) not in ("controller", "bench"):
                wrong.append(name)
        self.assertEqual(wrong, [])

    def test_no_python_bytecode_or_build_result_is_tracked(self):
        self.assertEqual([name for name in FILES if re.search(r"\.(pyc|o|a|so)$|__pycache__|^\.build/", name)], [])

    def test_lines_are_not_too_long(self):
        wrong = []
        for name in FILES:
            limit = {".h": 110, ".cc": 110, ".py": 125, ".sh": 130}.get(os.path.splitext(name)[1])
            if limit:
                wrong += ["%s:%d: %d columns" % (name, number, len(line))
                          for number, line in enumerate(read(name).splitlines(), 1)
                          if len(line) > limit and "http" not in line and "NOLINT" not in line]
        self.assertEqual(wrong, [])


class ScriptTest(unittest.TestCase):
    def scripts(self):
        return [name for name in FILES if re.match(r"#!.*\b(bash|sh)\b", read(name)[:60])]

    def test_every_script_is_strict(self):
        self.assertTrue(self.scripts())
        for name in self.scripts():
            text = read(name)
            with self.subTest(name):
                self.assertTrue("set -Eeuo pipefail" in text or "exec " in text.splitlines()[-1])
                self.assertTrue(os.access(os.path.join(ROOT, name), os.X_OK), "not executable")

    def test_shellcheck_has_nothing_to_say(self):
        result = subprocess.run(["shellcheck", *[os.path.join(ROOT, name) for name in self.scripts()]],
                                capture_output=True, text=True, check=False)
        self.assertEqual((result.returncode, result.stdout), (0, ""))

    def test_php_and_python_parse(self):
        for name in FILES:
            if name.endswith(".php"):
                subprocess.run(["php8.2", "-l", os.path.join(ROOT, name)], check=True, capture_output=True)
            elif name.endswith(".py"):
                compile(read(name), name, "exec")


if __name__ == "__main__":
    unittest.main(verbosity=2)
