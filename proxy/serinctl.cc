// serinctl: the operator's command. Reads the command line; the verbs
// themselves are in proxy/ctl/.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "proxy/config/check_report.h"
#include "proxy/config/config.h"
#include "proxy/config/units.h"
#include "proxy/ctl/commands.h"
#include "proxy/ctl/completion.h"
#include "proxy/ctl/documents.h"
#include "proxy/ctl/replay_command.h"

extern char** environ;

namespace {

using serin::Commands;
using serin::Wait;

struct Options {
  std::string socket = "/run/serin/admin.sock";
  std::string file = "/etc/serin/serin.toml";
  std::string release, weight, pool, shell, recording;
  std::vector<serin::ConfigOverride> changes;  // of a recording's limits
  size_t limit = 20;
  bool json = false, watch = false, wait = false, full = false;
};

// "25", "25%" or "12.5" → the number's text; "" if it is no percentage.
std::string WeightNumber(std::string text) {
  if (text.ends_with('%')) text.pop_back();
  const auto ratio = serin::ParsePercent(text + "%");
  return ratio && *ratio <= 1 ? fmt::format("{:.8g}", *ratio * 100) : "";
}

int CheckFile(const std::string& file) {
  const serin::CheckReport report =
      serin::ReportOf(serin::LoadConfig(file, serin::SerinEnvironment(environ), {}), file);
  std::fputs(report.text.c_str(), report.ok ? stdout : stderr);
  return report.ok ? serin::kExitOk : serin::kExitFailed;
}

// The command line, and what to do for each verb.
class CommandLine {
 public:
  CommandLine() {
    app_.set_version_flag("-V,--version", std::string("serinctl ") + SERIN_VERSION);
    app_.require_subcommand(1);
    app_.fallthrough();
    app_.add_option("-s,--socket", options_.socket, "The daemon's admin socket")
        ->envname("SERIN_ADMIN_SOCKET")
        ->capture_default_str();
    app_.add_flag("--json", options_.json, "Print the daemon's JSON instead of text");
    app_.footer(
        "Exit status: 0 done, 1 refused or unreachable, 2 wrong command line, 3 the rollout waited for was "
        "reverted.");
    AddReads();
    AddRolloutVerbs();
    AddOthers();
  }

  int Run(int argc, char** argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      // 0 for --help and --version.
      return app_.exit(error) == 0 ? serin::kExitOk : serin::kExitUsage;
    }
    return run_();
  }

 private:
  // A verb whose action is `run`.
  CLI::App* Add(const std::string& name, const std::string& help, std::function<int(const Commands&)> run) {
    CLI::App* verb = app_.add_subcommand(name, help);
    verb->fallthrough();
    verb->callback([this, run = std::move(run)] {
      run_ = [this, run] { return run(Commands(options_.socket, options_.json)); };
    });
    return verb;
  }
  // A verb that POSTs without a body.
  CLI::App* AddPost(const std::string& name, const std::string& help, const std::string& done) {
    return Add(name, help, [this, name, done](const Commands& commands) {
      return commands.Change("/v1/rollout/" + name, "{}", done, WaitWanted());
    });
  }
  Wait WaitWanted() const { return options_.wait ? Wait::kUntilTheEnd : Wait::kNo; }
  void AddWait(CLI::App* verb) {
    verb->add_flag("--wait", options_.wait, "Follow the rollout to its end; exit status 3 if it is reverted");
  }

  void AddReads();
  void AddRolloutVerbs();
  void AddOthers();
  void AddReplay();
  serin::CompletionSpec Spec() const;

  CLI::App app_{"Watches and operates serin, the canary proxy.", "serinctl"};
  Options options_;
  std::function<int()> run_ = [] { return serin::kExitUsage; };
};

void CommandLine::AddReads() {
  CLI::App* status = Add("status", "Show what the rollout is doing", [this](const Commands& commands) {
    return options_.watch ? commands.Watch() : commands.Status();
  });
  status->add_flag("-w,--watch", options_.watch, "Keep it up to date until Ctrl-C");
  Add("explain", "Say in a paragraph why", [](const Commands& commands) { return commands.Explain(); });
  CLI::App* history = Add("history", "List what was decided, by whom and why",
                          [this](const Commands& commands) { return commands.History(options_.limit); });
  history->add_option("-n,--limit", options_.limit, "How many entries, the latest")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
}

void CommandLine::AddRolloutVerbs() {
  CLI::App* start =
      Add("start", "Start the rollout of the release on the idle pool", [this](const Commands& commands) {
        return commands.Change("/v1/rollout/start", serin::StartBody(options_.release),
                               "started " + options_.release, WaitWanted());
      });
  start->add_option("release", options_.release, "Its name, for the records")->required();
  AddWait(start);
  AddPost("pause", "Stay at the present weight; the guard stays on", "paused");
  AddWait(AddPost("resume", "Continue the plan", "resumed"));
  CLI::App* promote = Add("promote", "Go to the next step without waiting", [this](const Commands& commands) {
    return commands.Change("/v1/rollout/promote", options_.full ? R"({"full":true})" : "{}",
                           options_.full ? "promoted fully" : "promoted", WaitWanted());
  });
  promote->add_flag("--full", options_.full, "To 100% at once");
  AddWait(promote);
  AddPost("abort", "Send everybody to stable, now", "aborted");
  AddWait(AddPost("retry", "Start a reverted rollout again", "retried"));
  AddPost("undo", "Go back to the release before", "undone");
  CLI::App* weight =
      Add("weight", "Set the canary's share; pauses the plan", [this](const Commands& commands) {
        const std::string number = WeightNumber(options_.weight);
        return commands.Change("/v1/weight", fmt::format(R"({{"canary":{}}})", number),
                               fmt::format("weight {}%", number), Wait::kNo);
      });
  weight->add_option("percent", options_.weight, "0 to 100")->required()->check([](const std::string& text) {
    return WeightNumber(text).empty() ? "\"" + text + "\" is no percentage; expected 0 to 100"
                                      : std::string();
  });
}

void CommandLine::AddOthers() {
  const auto pool_of = [](CLI::App* verb, std::string& pool) {
    verb->add_option("pool", pool, "blue or green")->required()->check(CLI::IsMember({"blue", "green"}));
  };
  CLI::App* drain =
      Add("drain", "Send no new requests to a pool, before its PHP-FPM is replaced",
          [this](const Commands& commands) {
            return commands.Drain(options_.pool == "blue" ? serin::PoolId::kBlue : serin::PoolId::kGreen,
                                  WaitWanted());
          });
  pool_of(drain, options_.pool);
  drain->add_flag("--wait", options_.wait, "Until what was in flight has ended");
  pool_of(Add("undrain", "Send requests to a drained pool again",
              [this](const Commands& commands) {
                return commands.Change("/v1/pool/" + options_.pool + "/undrain", "{}",
                                       options_.pool + " takes requests", Wait::kNo);
              }),
          options_.pool);
  Add("reload", "Read the configuration again",
      [](const Commands& commands) { return commands.Change("/v1/reload", "{}", "reloaded", Wait::kNo); });
  CLI::App* check = Add("check", "Check a configuration file, as serin -t does",
                        [this](const Commands&) { return CheckFile(options_.file); });
  check->add_option("file", options_.file, "The file")->envname("SERIN_CONFIG")->capture_default_str();
  AddReplay();
  Add("version", "Show the versions of serinctl and the daemon",
      [](const Commands& commands) { return commands.Version(SERIN_VERSION); });
  CLI::App* completion = Add("completion", "Print a completion script for a shell", [this](const Commands&) {
    std::fputs(serin::CompletionScript(options_.shell, Spec()).c_str(), stdout);
    return serin::kExitOk;
  });
  completion->add_option("shell", options_.shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
}

void CommandLine::AddReplay() {
  CLI::App* replay = Add("replay", "Say what a recording would have led to, under its own limits or others",
                         [this](const Commands&) {
                           return serin::ReplayFile(options_.recording, options_.changes, options_.json);
                         });
  replay->add_option("file", options_.recording, "A recording, from the state directory")->required();
  for (const serin::ReplayLimit& limit : serin::kReplayLimits) {
    replay->add_option_function<std::string>(
        limit.flag,
        [this, &limit](const std::string& value) {
          options_.changes.push_back({limit.key, value, limit.flag});
        },
        limit.help);
  }
  replay
      ->add_option_function<std::vector<std::string>>(
          "--set",
          [this](const std::vector<std::string>& settings) {
            for (const std::string& setting : settings) options_.changes.push_back(serin::ParseSet(setting));
          },
          "Any key of [rollout], as in --set rollout.sequential.alpha=1% (repeatable)")
      ->allow_extra_args(false);
}

// What the shells are told is read off the parser, so that it cannot differ.
serin::CompletionSpec CommandLine::Spec() const {
  serin::CompletionSpec spec{"serinctl", {"--socket", "--json", "--help"}, {}};
  for (const CLI::App* verb : app_.get_subcommands(nullptr)) {
    serin::CompletionVerb entry{verb->get_name(), verb->get_description(), {}, {}, false};
    for (const CLI::Option* option : verb->get_options()) {
      for (const std::string& name : option->get_lnames()) {
        if (name != "help") entry.flags.push_back("--" + name);
      }
      entry.takes_file |= option->get_name() == "file";
    }
    if (entry.name == "drain" || entry.name == "undrain") entry.words = {"blue", "green"};
    if (entry.name == "completion") entry.words = {"bash", "zsh", "fish"};
    spec.verbs.push_back(std::move(entry));
  }
  return spec;
}

}  // namespace

int main(int argc, char** argv) { return CommandLine().Run(argc, argv); }
