#include "proxy/ctl/commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "proxy/ctl/documents.h"

namespace serin {
namespace {

// A daemon that restarts is back well within this time.
constexpr absl::Duration kReconnectFor = absl::Seconds(30);
constexpr absl::Duration kReconnectEvery = absl::Milliseconds(500);

void Print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

int Complain(const std::string& problem) {
  std::fprintf(stderr, "serinctl: %s\n", problem.c_str());
  return kExitFailed;
}

std::string ClockTime() { return absl::FormatTime("%H:%M:%S", absl::Now(), absl::LocalTimeZone()); }

// Draws pages over each other. Where there is no terminal: a line for each.
class Screen {
 public:
  void Show(const StatusDocument& status) {
    const Terminal terminal = Terminal::OfStandardOutput();
    if (!terminal.is_terminal) return Print(RenderStatusLine(status, ClockTime()));
    const std::string page =
        RenderStatus(status, terminal) + fmt::format("\n{}, Ctrl-C to leave\n", ClockTime());
    const auto lines = static_cast<size_t>(std::count(page.begin(), page.end(), '\n'));
    std::string start;
    if (lines_ > 0) {
      // After a change of size nobody knows where the old page begins.
      const bool whole = terminal.width != width_ || lines_ >= terminal.height;
      start = whole ? "\x1b[2J\x1b[H" : fmt::format("\x1b[{}A\x1b[J", lines_);
    }
    lines_ = lines;
    width_ = terminal.width;
    Print(start + page);
  }

 private:
  size_t lines_ = 0, width_ = 0;
};

}  // namespace

int Commands::Fail(const AdminClient::Answer& answer) const {
  const std::string problem = answer.status == 0 ? answer.problem : ParseError(answer.body);
  if (json_) Print(answer.status == 0 ? ErrorBody(problem) : answer.body);
  return Complain(problem);
}

int Commands::Status() const {
  const AdminClient::Answer answer = client_.Get("/v1/status");
  if (!answer.ok()) return Fail(answer);
  const auto status = ParseStatus(answer.body);
  if (!status) return Complain("what answers on the socket is not serin");
  Print(json_ ? answer.body : RenderStatus(*status, Terminal::OfStandardOutput()));
  return kExitOk;
}

template <typename Over>
int Commands::Follow(Over over) const {
  bool connected = false, said = false;
  absl::Time lost_at;
  for (;;) {
    const AdminClient::Answer answer = client_.Watch([&](std::string_view data) {
      connected = true;
      said = false;
      lost_at = absl::InfinitePast();
      return !over(data);
    });
    if (answer.ok()) return kExitOk;
    if (!connected || answer.status != 0) return Fail(answer);
    if (lost_at == absl::InfinitePast()) lost_at = absl::Now();
    if (absl::Now() - lost_at > kReconnectFor) return Fail(answer);
    if (!said) Complain(answer.problem + "; trying again");
    said = true;
    absl::SleepFor(kReconnectEvery);
  }
}

int Commands::Watch() const {
  Screen screen;
  return Follow([&](std::string_view data) {
    if (json_) {
      Print(std::string(data) + "\n");
    } else if (const auto status = ParseStatus(data)) {
      screen.Show(*status);
    }
    return false;
  });
}

// The end is a stable state: with the canary as the new stable, or without.
int Commands::WaitForTheEnd(const std::string& canary) const {
  Screen screen;
  std::string last_key;
  int result = kExitOk;
  const int followed = Follow([&](std::string_view data) {
    const auto status = ParseStatus(data);
    if (!status) return false;
    const std::string key = fmt::format("{}|{}|{}", status->state, status->step, status->target);
    const bool over = status->state == "stable" || status->state == "reverted";
    if (json_) {
      Print(std::string(data) + "\n");
    } else if (Terminal::OfStandardOutput().is_terminal || key != last_key) {
      screen.Show(*status);
    }
    last_key = key;
    if (!over) return false;
    const bool swapped = status->state == "stable" && status->stable == canary;
    result = swapped ? kExitOk : kExitReverted;
    if (!json_) Print(swapped ? "promoted: " + status->release + " is stable now\n" : "");
    if (!swapped)
      Complain(status->reason.starts_with("reverted") ? status->reason : "reverted: " + status->reason);
    return true;
  });
  return followed != kExitOk ? followed : result;
}

int Commands::WaitUntilDrained(PoolId pool) const {
  int result = kExitOk;
  const int followed = Follow([&](std::string_view data) {
    const auto status = ParseStatus(data);
    if (!status) return false;
    if (json_) Print(std::string(data) + "\n");
    const PoolDocument& shown = status->pools[Index(pool)];
    if (shown.state == "draining") return false;
    if (shown.state != "drained") result = Complain(fmt::format("{} takes requests again", Name(pool)));
    if (!json_ && result == kExitOk) Print(fmt::format("{} is empty\n", Name(pool)));
    return true;
  });
  return followed != kExitOk ? followed : result;
}

int Commands::Drain(PoolId pool, Wait wait) const {
  const std::string path = fmt::format("/v1/pool/{}/drain", Name(pool));
  const int changed = Change(path, "{}", fmt::format("{} takes no new requests", Name(pool)), Wait::kNo);
  return changed != kExitOk || wait == Wait::kNo ? changed : WaitUntilDrained(pool);
}

int Commands::Explain() const {
  const AdminClient::Answer answer = client_.Get("/v1/explain");
  if (!answer.ok()) return Fail(answer);
  const auto explanation = ParseExplanation(answer.body);
  if (!explanation) return Complain("what answers on the socket is not serin");
  const size_t width = std::min<size_t>(Terminal::OfStandardOutput().width, 100);
  Print(json_ ? answer.body : Wrap(*explanation, width) + "\n");
  return kExitOk;
}

int Commands::History(size_t limit) const {
  const AdminClient::Answer answer = client_.Get(fmt::format("/v1/history?limit={}", limit));
  if (!answer.ok()) return Fail(answer);
  const auto history = ParseHistory(answer.body);
  if (!history) return Complain("what answers on the socket is not serin");
  Print(json_ ? answer.body : RenderHistory(*history, Terminal::OfStandardOutput()));
  return kExitOk;
}

int Commands::Version(const std::string& own) const {
  const AdminClient::Answer answer = client_.Get("/v1/status");
  const auto status = answer.ok() ? ParseStatus(answer.body) : std::nullopt;
  const std::string daemon = status ? status->version : "";
  if (json_) {
    Print(VersionBody(own, daemon));
  } else {
    Print(fmt::format(
        "serinctl {}\n{}", own,
        status ? fmt::format("serin {}, started {}\n", daemon, status->started_at) : "serin: no answer\n"));
  }
  return kExitOk;
}

int Commands::Change(const std::string& path, const std::string& body, const std::string& done,
                     Wait wait) const {
  const AdminClient::Answer answer = client_.Post(path, body);
  if (!answer.ok()) return Fail(answer);
  const auto status = ParseStatus(answer.body);
  if (!status) return Complain("what answers on the socket is not serin");
  if (json_) {
    Print(answer.body);
  } else {
    const std::string reason = status->reason.empty() ? "" : ": " + Wrap(status->reason, 1000);
    Print(fmt::format("{}; {} now{}\n", done, status->state, reason));
  }
  return wait == Wait::kUntilTheEnd ? WaitForTheEnd(status->canary) : kExitOk;
}

}  // namespace serin
