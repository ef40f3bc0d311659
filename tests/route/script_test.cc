#include "proxy/route/script.h"

#include <gtest/gtest.h>

#include <map>
#include <ostream>
#include <string>
#include <vector>

namespace serin {

std::ostream& operator<<(std::ostream& out, const ScriptMatch& match) {
  return out << static_cast<int>(match.kind) << " \"" << match.script_name << "\" \"" << match.path_info
             << '"';
}
bool operator==(const ScriptMatch& a, const ScriptMatch& b) {
  return a.kind == b.kind && a.script_name == b.script_name && a.path_info == b.path_info;
}

namespace {

using Kind = ScriptMatch::Kind;

class FakeProbe : public FileProbe {
 public:
  bool visible() const override { return shown; }
  FileKind Look(std::string_view path) override {
    looks.emplace_back(path);
    while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
    const auto found = files.find(std::string(path));
    return found == files.end() ? FileKind::kMissing : found->second;
  }
  void AddFile(std::string path) { files[std::move(path)] = FileKind::kFile; }
  void AddDirectory(std::string path) { files[std::move(path)] = FileKind::kDirectory; }

  bool shown = true;
  std::map<std::string, FileKind> files;
  std::vector<std::string> looks;
};

class ScriptTest : public testing::Test {
 protected:
  ScriptTest() {
    for (const char* file :
         {"/index.php", "/wp-login.php", "/wp-admin/index.php", "/wp-admin/admin-ajax.php", "/uploads/x.jpg",
          "/.git/hook.php", "/.well-known/check.php", "/a.b/index.php"}) {
      probe.AddFile(file);
    }
    for (const char* directory : {"/wp-admin", "/uploads", "/.git", "/.well-known", "/a.b"}) {
      probe.AddDirectory(directory);
    }
  }
  ScriptMatch Resolve(std::string_view path) {
    probe.looks.clear();
    return ResolveScript(path, rules, probe, scratch);
  }
  static ScriptMatch Script(std::string_view name, std::string_view path_info = "") {
    return {Kind::kScript, name, path_info};
  }

  ScriptRules rules;
  FakeProbe probe;
  std::string scratch;
  const ScriptMatch front = Script("/index.php");
};

TEST_F(ScriptTest, RunsTheScriptThatIsAskedFor) {
  EXPECT_EQ(Resolve("/wp-login.php"), Script("/wp-login.php"));
  EXPECT_EQ(Resolve("/wp-admin/admin-ajax.php"), Script("/wp-admin/admin-ajax.php"));
  EXPECT_EQ(Resolve("/index.php"), front);
}

TEST_F(ScriptTest, SplitsPathInfoBehindTheFirstScript) {
  EXPECT_EQ(Resolve("/wp-login.php/a/b"), Script("/wp-login.php", "/a/b"));
  EXPECT_EQ(Resolve("/wp-login.php/"), Script("/wp-login.php", "/"));
  EXPECT_EQ(Resolve("/wp-login.php/x.php"), Script("/wp-login.php", "/x.php"));
  EXPECT_EQ(Resolve("/index.php/shop"), Script("/index.php", "/shop"));
}

TEST_F(ScriptTest, ADirectoryCalledLikeAScriptIsNoScript) {
  probe.AddDirectory("/lib.php");
  probe.AddFile("/lib.php/run.php");
  EXPECT_EQ(Resolve("/lib.php/run.php/x"), Script("/lib.php/run.php", "/x"));
  EXPECT_EQ(Resolve("/lib.php/none.php"), front);
}

TEST_F(ScriptTest, GivesEverythingElseToTheFrontControllerWithoutPathInfo) {
  for (const char* path : {"/", "/shop/list", "/shop/", "/style.css", "/missing.php", "/missing.php/x",
                           "/x.phpx", "/xphp", "/a.php5", "/wp-login.php.bak", "//", "/shop//list"}) {
    EXPECT_EQ(Resolve(path), front) << path;
  }
}

TEST_F(ScriptTest, ComparesTheExtensionByBytes) {
  probe.AddFile("/wp-login.PHP");
  probe.AddFile("/wp-login.php ");
  probe.AddFile("/wp-login.php.");
  for (const char* path :
       {"/wp-login.PHP", "/wp-login.Php", "/wp-login.php ", "/wp-login.php.", "/wp-login.p\xC4\xA7p"}) {
    EXPECT_EQ(Resolve(path), front) << path;
  }
}

TEST_F(ScriptTest, AnUploadIsNeverAScript) {
  EXPECT_EQ(Resolve("/uploads/x.jpg/y.php"), front);
  EXPECT_EQ(Resolve("/uploads/x.jpg"), front);
  probe.files["/uploads/socket.php"] = FileKind::kOther;
  EXPECT_EQ(Resolve("/uploads/socket.php"), front);
}

TEST_F(ScriptTest, RunsADirectorysIndex) {
  EXPECT_EQ(Resolve("/wp-admin/"), Script("/wp-admin/index.php"));
  EXPECT_EQ(Resolve("/a.b/"), Script("/a.b/index.php"));
  EXPECT_EQ(Resolve("/uploads/"), front) << "a directory without an index";
}

TEST_F(ScriptTest, RedirectsToADirectoryWithAnIndex) {
  EXPECT_EQ(Resolve("/wp-admin").kind, Kind::kRedirectSlash);
  EXPECT_EQ(Resolve("/uploads"), front) << "a directory without an index";
  EXPECT_EQ(Resolve("/wp-login"), front);
}

TEST_F(ScriptTest, RefusesAScriptBehindASymlinkThatLeavesTheRoot) {
  probe.files["/uploads/shell.php"] = FileKind::kOutside;
  EXPECT_EQ(Resolve("/uploads/shell.php").kind, Kind::kForbidden);
  EXPECT_EQ(Resolve("/uploads/shell.php/x").kind, Kind::kForbidden);
  probe.files["/linked/index.php"] = FileKind::kOutside;
  EXPECT_EQ(Resolve("/linked/").kind, Kind::kForbidden);
  probe.files["/linked"] = FileKind::kOutside;
  EXPECT_EQ(Resolve("/linked"), front) << "the directory itself runs nothing";
}

TEST_F(ScriptTest, NeverRunsWhatIsHidden) {
  for (const char* path : {"/.git/hook.php", "/.git/", "/.git", "/.env", "/wp-admin/.x/wp-login.php", "/.php",
                           "/wp-login.php/.hidden", "/..php/x"}) {
    EXPECT_EQ(Resolve(path), front) << path;
    EXPECT_TRUE(probe.looks.empty()) << path;
  }
  EXPECT_EQ(Resolve("/.well-known/check.php"), Script("/.well-known/check.php"));
}

TEST_F(ScriptTest, RefusesWhatTheParserShouldHaveStopped) {
  using std::string_view_literals::operator""sv;
  for (std::string_view path :
       {""sv, "x"sv, "/../etc/x.php"sv, "/a/.."sv, "/./x.php"sv, "/x.php\0.jpg"sv, "/\0"sv}) {
    EXPECT_EQ(Resolve(path).kind, Kind::kForbidden);
    EXPECT_TRUE(probe.looks.empty());
  }
}

TEST_F(ScriptTest, LooksAtNoFileForAPathThatNamesNone) {
  for (const char* path : {"/", "/style.css", "/img/logo.png", "/a.phpx"}) {
    Resolve(path);
    EXPECT_TRUE(probe.looks.empty()) << path;
  }
  Resolve("/shop/list");
  EXPECT_EQ(probe.looks, std::vector<std::string>{"/shop/list"});
  Resolve("/shop/");
  EXPECT_EQ(probe.looks, std::vector<std::string>{"/shop/index.php"});
  Resolve("/wp-login.php/a/b");
  EXPECT_EQ(probe.looks, std::vector<std::string>{"/wp-login.php"});
}

TEST_F(ScriptTest, LooksAtABoundedNumberOfFiles) {
  std::string path;
  for (int i = 0; i < 1000; ++i) probe.AddDirectory(path += "/d.php");
  EXPECT_EQ(Resolve(path), front);
  EXPECT_LE(probe.looks.size(), 10U);
}

TEST_F(ScriptTest, WithoutAFrontControllerSaysNotFound) {
  rules.front_controller = "";
  EXPECT_EQ(Resolve("/shop/list").kind, Kind::kNotFound);
  EXPECT_EQ(Resolve("/missing.php").kind, Kind::kNotFound);
  EXPECT_EQ(Resolve("/.git/hook.php").kind, Kind::kNotFound);
  EXPECT_EQ(Resolve("/wp-login.php"), Script("/wp-login.php"));
  EXPECT_EQ(Resolve("/"), front) << "the root's index";
  EXPECT_EQ(Resolve("/wp-admin/"), Script("/wp-admin/index.php"));
}

TEST_F(ScriptTest, TakesTheIndexNameFromTheFrontController) {
  rules.front_controller = "app/start.php";
  probe.AddFile("/wp-admin/start.php");
  EXPECT_EQ(Resolve("/shop"), Script("/app/start.php"));
  EXPECT_EQ(Resolve("/"), Script("/app/start.php"));
  EXPECT_EQ(Resolve("/wp-admin/"), Script("/wp-admin/start.php"));
}

TEST_F(ScriptTest, WithTheFrontControllerOnlyLooksAtNoFile) {
  rules.scripts = Scripts::kFrontController;
  for (const char* path : {"/", "/wp-login.php", "/wp-admin", "/wp-admin/", "/index.php", "/.git/hook.php"}) {
    EXPECT_EQ(Resolve(path), front) << path;
    EXPECT_TRUE(probe.looks.empty());
  }
  EXPECT_EQ(Resolve("/index.php/shop"), Script("/index.php", "/shop"));
  EXPECT_EQ(Resolve("/index.phpx/shop"), front);
  rules.front_controller = "";
  EXPECT_EQ(Resolve("/wp-login.php").kind, Kind::kNotFound);
}

TEST_F(ScriptTest, WithARootOutOfSightUsesTheFrontControllerOnly) {
  probe.shown = false;
  EXPECT_EQ(Resolve("/wp-login.php"), front);
  EXPECT_TRUE(probe.looks.empty());
}

std::string Location(std::string_view path, std::string_view query = "") {
  std::string out;
  AppendSlashLocation(out, path, query);
  return out;
}

TEST(SlashLocationTest, AddsTheSlashAndKeepsTheQuery) {
  EXPECT_EQ(Location("/wp-admin"), "/wp-admin/");
  EXPECT_EQ(Location("/a/b", "x=1&y=%00"), "/a/b/?x=1&y=%00");
}

TEST(SlashLocationTest, NeverNamesAnotherSite) {
  EXPECT_EQ(Location("//evil.example"), "/evil.example/");
  EXPECT_EQ(Location("///evil.example//x"), "/evil.example//x/");
  EXPECT_EQ(Location("/\\evil.example"), "/%5Cevil.example/");
  EXPECT_EQ(Location("/\t/evil.example"), "/%09/evil.example/");
  EXPECT_EQ(Location("//"), "/");
}

TEST(SlashLocationTest, EncodesWhatALocationCannotCarry) {
  EXPECT_EQ(Location("/a b\r\nX: y?#%\"<>\xC3\xA4"), "/a%20b%0D%0AX:%20y%3F%23%25%22%3C%3E%C3%A4/");
}

// --- Named by a web server in front ------------------------------------------------

class NamedScriptTest : public ScriptTest {
 protected:
  ScriptMatch ResolveNamed(std::string_view script, std::string_view path = "/some/page") {
    return ResolveNamedScript(script, path, rules, probe, scratch);
  }
};

TEST_F(NamedScriptTest, StandsWhenItIsThere) {
  EXPECT_EQ(ResolveNamed("/wp-login.php"), Script("/wp-login.php"));
  EXPECT_EQ(ResolveNamed("/.well-known/check.php"), Script("/.well-known/check.php"));
}

TEST_F(NamedScriptTest, ThatTheReleaseDoesNotHaveGoesByThePath) {
  EXPECT_EQ(ResolveNamed("/gone.php", "/gone.php"), Script("/index.php"));
  EXPECT_EQ(ResolveNamed("/gone.php", "/wp-admin/index.php/x"), Script("/wp-admin/index.php", "/x"));
}

TEST_F(NamedScriptTest, IsNeverHiddenNorAnythingButPhp) {
  EXPECT_EQ(ResolveNamed("/.git/hook.php"), Script("/index.php"));
  EXPECT_EQ(ResolveNamed("/uploads/x.jpg"), Script("/index.php"));
  EXPECT_EQ(ResolveNamed("/wp-admin"), Script("/index.php"));
  EXPECT_EQ(ResolveNamed("/wp-admin/../wp-login.php"), Script("/index.php"));
  EXPECT_EQ(ResolveNamed(std::string_view("/wp-login.php\0.php", 18)), Script("/index.php"));
  EXPECT_EQ(ResolveNamed("/wp-login.PHP"), Script("/index.php"));
}

TEST_F(NamedScriptTest, OutsideTheRootIsForbidden) {
  probe.files["/link.php"] = FileKind::kOutside;
  EXPECT_EQ(ResolveNamed("/link.php").kind, Kind::kForbidden);
}

TEST_F(NamedScriptTest, IsTakenByItsNameWhenTheRootIsNotVisible) {
  probe.shown = false;
  EXPECT_EQ(ResolveNamed("/wp-login.php"), Script("/wp-login.php"));
  EXPECT_EQ(ResolveNamed("/.git/hook.php"), Script("/index.php"));
  EXPECT_EQ(ResolveNamed("/uploads/x.jpg"), Script("/index.php"));
}

TEST_F(NamedScriptTest, DoesNotGoPastTheFrontController) {
  rules.scripts = Scripts::kFrontController;
  EXPECT_EQ(ResolveNamed("/wp-login.php"), Script("/index.php"));
}

}  // namespace
}  // namespace serin
