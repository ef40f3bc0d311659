#include "proxy/observe/access_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "proxy/observe/json_text.h"

namespace serin {
namespace {

using nlohmann::json;

class AccessLogTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/serin-access-log-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
    path_ = directory_ + "/access.log";
  }
  void TearDown() override {
    for (const std::string& file : {path_, path_ + ".1"}) unlink(file.c_str());
    rmdir(directory_.c_str());
  }
  std::shared_ptr<LogFile> File() {
    auto file = LogFile::OpenPath(path_);
    EXPECT_TRUE(file.ok()) << file.status();
    return std::make_shared<LogFile>(*std::move(file));
  }
  static std::vector<std::string> Lines(const std::string& path) {
    std::ifstream in(path);
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  }
  static AccessRecord Example() {
    AccessRecord record;
    record.time = absl::FromUnixMillis(1767225599042);
    record.client = "203.0.113.7";
    record.method = "GET";
    record.host = "example.org:8080";
    record.target = "/a?b=c";
    record.protocol = "HTTP/1.1";
    record.status = 200;
    record.bytes_sent = 1234;
    record.bytes_received = 5;
    record.duration_ns = 12'345'678;
    record.backend_ns = 999'499;
    record.queue_ns = 0;
    record.routed = true;
    record.pool = PoolId::kGreen;
    record.role = Role::kCanary;
    record.epoch = 7;
    return record;
  }

  std::string directory_, path_;
};

TEST_F(AccessLogTest, WritesOneObjectPerRequest) {
  AccessLog log(File(), nullptr);
  log.Append(Example());
  log.Flush();
  ASSERT_EQ(Lines(path_).size(), 1u);
  EXPECT_EQ(
      Lines(path_)[0],
      R"({"time":"2025-12-31T23:59:59.042Z","client":"203.0.113.7","method":"GET",)"
      R"("host":"example.org:8080","target":"/a?b=c","protocol":"HTTP/1.1","status":200,"bytes_sent":1234,)"
      R"("bytes_received":5,"duration_ms":12.346,"backend_ms":0.999,"queue_ms":0.000,"pool":"green",)"
      R"("role":"canary","epoch":7,"forced":false,"pinned":false,"rescued":false,"error":null})");
}

TEST_F(AccessLogTest, LeavesOutWhatTheRequestDidNotCarryAndNullsWhatDidNotHappen) {
  AccessLog log(File(), nullptr);
  AccessRecord record;
  record.time = absl::FromUnixSeconds(0);
  record.status = 400;
  record.error = "bad_request";
  log.Append(record);
  record.request_id = "r1";
  record.traceparent = "00-0af7-b7ad-01";
  record.user_agent = "curl \"8\"";
  record.referer = "http://x/";
  record.forced = record.pinned = record.rescued = true;
  log.Append(record);
  log.Flush();
  const auto lines = Lines(path_);
  ASSERT_EQ(lines.size(), 2u);
  const json first = json::parse(lines[0]), second = json::parse(lines[1]);
  for (const char* name : {"client", "method", "pool", "role", "epoch", "backend_ms", "queue_ms"}) {
    EXPECT_TRUE(first.at(name).is_null()) << name;
  }
  EXPECT_EQ(first["error"], "bad_request");
  for (const char* name : {"request_id", "traceparent", "user_agent", "referer"})
    EXPECT_FALSE(first.contains(name));
  EXPECT_EQ(second["request_id"], "r1");
  EXPECT_EQ(second["traceparent"], "00-0af7-b7ad-01");
  EXPECT_EQ(second["user_agent"], "curl \"8\"");
  EXPECT_EQ(second["referer"], "http://x/");
  EXPECT_EQ(second["forced"], true);
  EXPECT_EQ(second["pinned"], true);
  EXPECT_EQ(second["rescued"], true);
}

TEST_F(AccessLogTest, FormatsEachSecondAnew) {
  AccessLog log(File(), nullptr);
  AccessRecord record = Example();
  for (int64_t millis : {1000, 1999, 2000, 1500}) {
    record.time = absl::FromUnixMillis(millis);
    log.Append(record);
  }
  log.Flush();
  std::string times;
  for (const std::string& line : Lines(path_))
    times += json::parse(line)["time"].get<std::string>().substr(17) + " ";
  EXPECT_EQ(times, "01.000Z 01.999Z 02.000Z 01.500Z ");
}

TEST_F(AccessLogTest, CutsLongTextsAndKeepsTheLineWhole) {
  AccessLog log(File(), nullptr);
  const std::string hostile(70000, '\x01');
  AccessRecord record = Example();
  record.client = record.method = record.host = record.target = record.protocol = record.error = hostile;
  record.request_id = record.traceparent = record.user_agent = record.referer = hostile;
  for (int i = 0; i < 20; ++i) log.Append(record);
  log.Flush();
  const auto lines = Lines(path_);
  ASSERT_EQ(lines.size(), 20u);
  for (const std::string& line : lines) {
    EXPECT_LT(line.size(), 16u * 1024);
    EXPECT_TRUE(json::accept(line));
  }
}

TEST_F(AccessLogTest, WritesByItselfWhen32KiBWait) {
  AccessLog log(File(), nullptr);
  size_t appended = 0;
  while (Lines(path_).empty()) {
    log.Append(Example());
    ASSERT_LT(++appended, 1000u);
  }
  struct stat info {};
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_GE(info.st_size, 32 * 1024);
  EXPECT_EQ(Lines(path_).size(), appended);
}

TEST_F(AccessLogTest, ReopensAfterARotationForAllWorkers) {
  const std::shared_ptr<LogFile> file = File();
  AccessLog one(file, nullptr), two(file, nullptr);
  one.Append(Example());
  one.Flush();
  ASSERT_EQ(rename(path_.c_str(), (path_ + ".1").c_str()), 0);
  two.Append(Example());
  two.Flush();
  EXPECT_EQ(Lines(path_ + ".1").size(), 2u);
  ASSERT_TRUE(file->Reopen().ok());
  one.Append(Example());
  two.Append(Example());
  one.Flush();
  two.Flush();
  EXPECT_EQ(Lines(path_ + ".1").size(), 2u);
  EXPECT_EQ(Lines(path_).size(), 2u);
}

TEST_F(AccessLogTest, KeepsTheOldFileWhenReopeningFails) {
  const std::shared_ptr<LogFile> file = File();
  AccessLog log(file, nullptr);
  ASSERT_EQ(rename(path_.c_str(), (path_ + ".1").c_str()), 0);
  ASSERT_EQ(mkdir(path_.c_str(), 0700), 0);
  EXPECT_FALSE(file->Reopen().ok());
  log.Append(Example());
  log.Flush();
  EXPECT_EQ(Lines(path_ + ".1").size(), 1u);
  rmdir(path_.c_str());
}

TEST_F(AccessLogTest, CountsLinesThatAFullDiskTookAndEndsTheTornLine) {
  // RLIMIT_FSIZE makes write(2) come up short exactly as a full disk does.
  signal(SIGXFSZ, SIG_IGN);
  const auto metrics = std::make_unique<WorkerMetrics>();
  AccessLog log(File(), metrics.get());
  log.Append(Example());
  log.Append(Example());
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{500, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  log.Flush();
  EXPECT_EQ(log.dropped(), 1u);
  log.Append(Example());
  log.Flush();
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(log.dropped(), 2u);
  log.Append(Example());
  log.Flush();
  const auto lines = Lines(path_);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_TRUE(json::accept(lines[0]));
  EXPECT_FALSE(json::accept(lines[1]));
  EXPECT_TRUE(json::accept(lines[2]));
  MetricsSnapshot sum;
  metrics->AddTo(sum);
  EXPECT_EQ(sum.LogLinesDropped(), 2u);
}

TEST_F(AccessLogTest, NeverWaitsForAPipeThatNobodyReads) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  const UniqueFd reader(open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  AccessLog log(File(), nullptr);
  for (int i = 0; i < 2000; ++i) log.Append(Example());
  log.Flush();
  EXPECT_GT(log.dropped(), 0u);
  // What did arrive arrived as whole lines.
  std::string text(1 << 20, '\0');
  const ssize_t n = read(reader.get(), text.data(), text.size());
  ASSERT_GT(n, 0);
  std::istringstream in(text.substr(0, static_cast<size_t>(n)));
  for (std::string line; std::getline(in, line);) EXPECT_TRUE(json::accept(line)) << line;
}

TEST_F(AccessLogTest, OffTakesAndForgetsEverything) {
  auto file = LogFile::Open(AccessLogSettings{});
  ASSERT_TRUE(file.ok());
  AccessLog log(std::make_shared<LogFile>(*std::move(file)), nullptr);
  EXPECT_FALSE(log.enabled());
  log.Append(Example());
  log.Flush();
  EXPECT_EQ(log.dropped(), 0u);
}

TEST_F(AccessLogTest, SaysWhichFileCannotBeOpened) {
  const auto file = LogFile::OpenPath("/nonexistent/access.log");
  EXPECT_EQ(file.status().message(),
            "cannot open the access log /nonexistent/access.log: No such file or directory");
}

std::string Escaped(std::string_view text, size_t limit = 1000) {
  std::string out(limit, '\0');
  out.resize(WriteJsonText(text, out));
  return out;
}

TEST(JsonTextTest, EscapesWhatJsonCannotHold) {
  EXPECT_EQ(Escaped("a\"b\\c/\n\r\t\x01\x7F"), "a\\\"b\\\\c/\\n\\r\\t\\u0001\\u007f");
  EXPECT_EQ(Escaped(std::string_view("\0", 1)), "\\u0000");
}

TEST(JsonTextTest, KeepsUtf8AndReplacesWhatIsNot) {
  EXPECT_EQ(Escaped("é€😀"), "é€😀");
  EXPECT_EQ(Escaped("\xFFx"), "\\ufffdx");
  EXPECT_EQ(Escaped("\xC3"), "\\ufffd");                                   // cut short
  EXPECT_EQ(Escaped("\xC0\xAF"), "\\ufffd\\ufffd");                        // overlong
  EXPECT_EQ(Escaped("\xED\xA0\x80"), "\\ufffd\\ufffd\\ufffd");             // a surrogate
  EXPECT_EQ(Escaped("\xF4\x90\x80\x80"), "\\ufffd\\ufffd\\ufffd\\ufffd");  // beyond U+10FFFF
}

TEST(JsonTextTest, EveryByteStringGivesValidJson) {
  uint32_t seed = 12345;
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    seed = seed * 1664525 + 1013904223;
    for (uint32_t n = seed >> 28; n > 0; --n) {
      seed = seed * 1664525 + 1013904223;
      text += static_cast<char>(seed >> 24);
    }
    seed = seed * 1664525 + 1013904223;
    const std::string quoted = "\"" + Escaped(text, 3 + (seed >> 27)) + "\"";
    EXPECT_TRUE(json::accept(quoted)) << quoted;
  }
}

TEST(JsonTextTest, CutsAtAWholeCharacterAndMarksIt) {
  EXPECT_EQ(Escaped("abcdef", 6), "abcdef");
  EXPECT_EQ(Escaped("abcdefg", 6), "abc…");
  EXPECT_EQ(Escaped("ab\x01zzz", 6), "ab…");
  EXPECT_EQ(Escaped("€€€", 8), "€…");
  EXPECT_EQ(Escaped("abc", 2), "ab");
}

}  // namespace
}  // namespace serin
