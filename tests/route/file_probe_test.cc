#include "proxy/route/file_probe.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace serin {
namespace {

namespace fs = std::filesystem;

// A release as deployments leave it: releases/v1/public, reached by "current".
class RootProbeTest : public testing::Test {
 protected:
  RootProbeTest() {
    std::string name = (fs::temp_directory_path() / "serin-probe-XXXXXX").string();
    base = fs::canonical(::mkdtemp(name.data()));
    for (const char* release : {"v1", "v2"})
      fs::create_directories(base / "releases" / release / "public/admin");
    fs::create_directories(base / "shared/uploads");
    fs::create_directory_symlink("releases/v1", base / "current");
    Touch("releases/v1/public/index.php");
    Touch("releases/v1/public/admin/index.php");
    Touch("releases/v2/public/new.php");
    Touch("shared/uploads/shell.php");
  }
  ~RootProbeTest() override { fs::remove_all(base); }

  void Touch(const std::string& path) { std::ofstream(base / path) << "<?php"; }
  void Link(const std::string& target, const std::string& path) {
    fs::create_symlink(target, base / "releases/v1/public" / path);
  }

  fs::path base;
};

TEST_F(RootProbeTest, TellsFilesFromDirectoriesAndNothing) {
  RootProbe probe((base / "current/public").string());
  ASSERT_TRUE(probe.visible());
  EXPECT_EQ(probe.Look("/index.php"), FileKind::kFile);
  EXPECT_EQ(probe.Look("//admin//index.php"), FileKind::kFile);
  EXPECT_EQ(probe.Look("/admin"), FileKind::kDirectory);
  EXPECT_EQ(probe.Look("/none.php"), FileKind::kMissing);
  EXPECT_EQ(probe.Look("/index.php/x.php"), FileKind::kMissing);
  EXPECT_EQ(probe.Look("/"), FileKind::kMissing);
  ASSERT_EQ(::mkfifo((base / "releases/v1/public/pipe.php").c_str(), 0600), 0);
  EXPECT_EQ(probe.Look("/pipe.php"), FileKind::kOther);
}

TEST_F(RootProbeTest, ResolvesTheRootOnceAndStaysThere) {
  RootProbe probe((base / "current/public/").string());
  EXPECT_EQ(probe.resolved_root(), (base / "releases/v1/public").string());
  fs::remove(base / "current");
  fs::create_directory_symlink("releases/v2", base / "current");
  EXPECT_EQ(probe.Look("/index.php"), FileKind::kFile);
  EXPECT_EQ(probe.Look("/new.php"), FileKind::kMissing);
}

TEST_F(RootProbeTest, SeesThroughSymlinksThatLeaveTheRoot) {
  Link("../../../shared/uploads", "uploads");
  Link((base / "shared/uploads").string(), "absolute");
  Link("/etc/passwd", "passwd.php");
  RootProbe probe((base / "current/public").string());
  EXPECT_EQ(probe.Look("/uploads/shell.php"), FileKind::kOutside);
  EXPECT_EQ(probe.Look("/absolute/shell.php"), FileKind::kOutside);
  EXPECT_EQ(probe.Look("/passwd.php"), FileKind::kOutside);
  EXPECT_EQ(probe.Look("/uploads/none.php"), FileKind::kMissing);
}

TEST_F(RootProbeTest, FollowsSymlinksThatStayBelowTheRoot) {
  Link("index.php", "start.php");
  Link((base / "releases/v1/public/admin").string(), "absolute");
  RootProbe probe((base / "current/public").string());
  EXPECT_EQ(probe.Look("/start.php"), FileKind::kFile);
  EXPECT_EQ(probe.Look("/absolute/index.php"), FileKind::kFile);
  EXPECT_EQ(probe.Look("/absolute"), FileKind::kDirectory);
}

TEST_F(RootProbeTest, ANeighbourWithTheRootsNameInFrontIsOutside) {
  fs::create_directories(base / "releases/v1/public-old");
  Touch("releases/v1/public-old/x.php");
  Link("../public-old/x.php", "x.php");
  RootProbe probe((base / "current/public").string());
  EXPECT_EQ(probe.Look("/x.php"), FileKind::kOutside);
}

TEST_F(RootProbeTest, SurvivesLoopsAndEndlessNames) {
  Link("loop.php", "loop.php");
  RootProbe probe((base / "current/public").string());
  EXPECT_EQ(probe.Look("/loop.php"), FileKind::kMissing);
  EXPECT_EQ(probe.Look("/" + std::string(300, 'a') + ".php"), FileKind::kMissing);
  EXPECT_EQ(probe.Look("/" + std::string(100000, 'a') + ".php"), FileKind::kMissing);
}

TEST_F(RootProbeTest, RemembersWhatItFoundUntilToldToForget) {
  RootProbe probe((base / "current/public").string());
  const std::string longer = "/" + std::string(150, 'a') + ".php";
  EXPECT_EQ(probe.Look("/later.php"), FileKind::kMissing);
  EXPECT_EQ(probe.Look("/index.php"), FileKind::kFile);
  EXPECT_EQ(probe.Look(longer), FileKind::kMissing);
  Touch("releases/v1/public/later.php");
  Touch("releases/v1/public" + longer);
  fs::remove(base / "releases/v1/public/index.php");
  EXPECT_EQ(probe.Look("/later.php"), FileKind::kMissing);
  EXPECT_EQ(probe.Look("/index.php"), FileKind::kFile);
  EXPECT_EQ(probe.Look(longer), FileKind::kFile);  // too long to be remembered
  probe.Forget();
  EXPECT_EQ(probe.Look("/later.php"), FileKind::kFile);
  EXPECT_EQ(probe.Look("/index.php"), FileKind::kMissing);
}

TEST_F(RootProbeTest, RemembersAtMostSoManyPaths) {
  RootProbe probe((base / "current/public").string());
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(probe.Look("/none" + std::to_string(i) + ".php"), FileKind::kMissing);
    EXPECT_EQ(probe.Look("/index.php"), FileKind::kFile);
    EXPECT_EQ(probe.Look("/admin"), FileKind::kDirectory);
  }
}

TEST_F(RootProbeTest, ARootThatIsNotThereIsInvisible) {
  RootProbe missing("/nowhere/at/all/");
  EXPECT_FALSE(missing.visible());
  EXPECT_EQ(missing.resolved_root(), "/nowhere/at/all");
  RootProbe file((base / "releases/v1/public/index.php").string());
  EXPECT_FALSE(file.visible());
  EXPECT_FALSE(RootProbe("").visible());
}

}  // namespace
}  // namespace serin
