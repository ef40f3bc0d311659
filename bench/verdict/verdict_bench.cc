// bench/verdict: the tables of docs/VERDICT.md, measured with the judge that
// the daemon runs. See --help.

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include "bench/verdict/plot.h"
#include "bench/verdict/rules.h"
#include "bench/verdict/simulate.h"

namespace serin::bench {
namespace {

struct Options {
  int rollouts = 2000;
  uint64_t seed = 1;
  std::string plot;  // file; empty: none
};

const std::vector<RuleKind> kAllRules(std::begin(kRules), std::end(kRules));

void PrintFalseReverts(const Plan& plan, const Options& options, std::vector<std::string>& rows) {
  for (double error : {0.001, 0.01, 0.03, 0.045}) {
    const Scenario scenario{.error = error, .begins = {}, .length = {}, .rules = kAllRules};
    const std::vector<Outcomes> outcomes = Simulate(plan, scenario, options.rollouts, options.seed);
    for (int r = 0; r < kRuleCount; ++r) {
      char cell[64];
      std::snprintf(cell, sizeof cell, " %6.2f", RevertedShare(outcomes, kRules[r]) * 100);
      rows[static_cast<size_t>(r)] += cell;
    }
  }
}

void PrintDelays(const Plan& plan, const Options& options, std::vector<std::string>& rows) {
  for (double error : {0.055, 0.08, 0.20, 1.0}) {
    const Scenario scenario{.error = error, .begins = {}, .length = {}, .rules = kAllRules};
    const std::vector<Outcomes> outcomes = Simulate(plan, scenario, options.rollouts, options.seed + 1000000);
    for (int r = 0; r < kRuleCount; ++r) {
      char cell[64];
      const double reverted = RevertedShare(outcomes, kRules[r]) * 100;
      std::snprintf(cell, sizeof cell, " %7ld", static_cast<long>(MedianRequests(outcomes, kRules[r])));
      rows[static_cast<size_t>(r)] += cell;
      if (error > 0.06) continue;
      std::snprintf(cell, sizeof cell, " (%5.1f %%)", reverted);
      rows[static_cast<size_t>(r)] += cell;
    }
  }
  for (double error : {0.20, 1.0}) {
    const Scenario scenario{.error = error, .begins = absl::Minutes(12), .length = {}, .rules = kAllRules};
    const std::vector<Outcomes> outcomes =
        Simulate(plan, scenario, std::max(100, options.rollouts / 10), options.seed + 2000000);
    for (int r = 0; r < kRuleCount; ++r) {
      char cell[64];
      std::snprintf(cell, sizeof cell, " %6ld", static_cast<long>(MedianRequests(outcomes, kRules[r])));
      rows[static_cast<size_t>(r)] += cell;
    }
  }
}

void PrintTable(const Plan& plan, const Options& options) {
  std::printf("%d rollouts of each kind, 100 requests/s, seeds %lu...\n", options.rollouts,
              static_cast<unsigned long>(options.seed));
  std::printf(
      "Left: %% of rollouts falsely reverted at a true error rate. Right: median canary requests until the\n"
      "revert (and, at 5.5 %%, how many were reverted at all); last, for a fault that begins at minute "
      "12.\n\n");
  std::printf("%-37s| %5s%% %5s%% %5s%% %5s%% | %7s %17s%% %6s%% %6s%% | %6s%% %5s%%\n", "rule", "0.1", "1",
              "3", "4.5", "5.5 %", "8", "20", "100", "20", "100");
  std::vector<std::string> left(kRuleCount);
  std::vector<std::string> right(kRuleCount);
  PrintFalseReverts(plan, options, left);
  PrintDelays(plan, options, right);
  for (size_t r = 0; r < kRuleCount; ++r) {
    std::printf("%-37s|%s |%s\n", std::string(Name(kRules[r])).c_str(), left[r].c_str(), right[r].c_str());
  }
}

void PrintBadAnswers(const Plan& plan, const Options& options) {
  const int count = std::max(200, options.rollouts / 4);
  std::printf(
      "\nBad answers until the revert at 1,000 requests/s and 10 %% weight (median of %d; and seconds)\n\n",
      count);
  std::printf("%-37s| %16s | %16s | %16s\n", "rule", "8 % fail", "20 % fail", "100 % fail");
  std::vector<std::string> rows(kRuleCount);
  for (double error : {0.08, 0.20, 1.0}) {
    const Scenario scenario{
        .requests_per_second = 1000, .error = error, .begins = {}, .length = plan.hold, .rules = kAllRules};
    const std::vector<Outcomes> outcomes = Simulate(plan, scenario, count, options.seed + 3000000);
    for (int r = 0; r < kRuleCount; ++r) {
      char cell[64];
      std::snprintf(cell, sizeof cell, "| %6ld (%6.2f s)",
                    static_cast<long>(MedianBadAnswers(outcomes, kRules[r])),
                    absl::ToDoubleSeconds(MedianDelay(outcomes, kRules[r])));
      rows[static_cast<size_t>(r)] += cell;
    }
  }
  for (size_t r = 0; r < kRuleCount; ++r) {
    std::printf("%-37s%s\n", std::string(Name(kRules[r])).c_str(), rows[r].c_str());
  }
}

void PrintSmallSite(const Plan& plan, const Options& options) {
  const Scenario scenario{
      .requests_per_second = 10, .error = 1, .begins = {}, .length = {}, .rules = kAllRules};
  const std::vector<Outcomes> outcomes = Simulate(plan, scenario, 200, options.seed + 4000000);
  std::printf("\nA dead canary at 10 requests/s (median canary requests; and seconds)\n\n");
  for (RuleKind rule : kRules) {
    std::printf("%-37s| %6ld (%6.1f s)\n", std::string(Name(rule)).c_str(),
                static_cast<long>(MedianRequests(outcomes, rule)),
                absl::ToDoubleSeconds(MedianDelay(outcomes, rule)));
  }
}

bool WritePlot(const Plan& plan, const Options& options) {
  struct Style {
    RuleKind rule;
    const char* colour;
    bool dashed;
  };
  const Style styles[] = {{RuleKind::kSerin, "#1a7f37", false},
                          {RuleKind::kSequential, "#1a7f37", true},
                          {RuleKind::kWindow100, "#0969da", true},
                          {RuleKind::kArgo, "#bf8700", false},
                          {RuleKind::kFlagger, "#cf222e", false}};
  std::vector<PlotLine> lines;
  for (const Style& style : styles)
    lines.push_back({std::string(Name(style.rule)), style.colour, style.dashed, {}});
  for (double error : {0.052, 0.055, 0.06, 0.065, 0.07, 0.08, 0.1, 0.12, 0.15, 0.2, 0.3, 0.45, 0.7, 1.0}) {
    const Scenario scenario{.error = error, .begins = {}, .length = {}, .rules = kAllRules};
    const std::vector<Outcomes> outcomes = Simulate(plan, scenario, 300, options.seed + 5000000);
    for (size_t i = 0; i < lines.size(); ++i) {
      // A median over a minority would flatter.
      if (RevertedShare(outcomes, styles[i].rule) < 0.5) continue;
      lines[i].points.push_back({error, static_cast<double>(MedianRequests(outcomes, styles[i].rule))});
    }
  }
  std::FILE* file = std::fopen(options.plot.c_str(), "w");
  if (file == nullptr) return false;
  const std::string svg = DrawDelays(lines, plan.max_error_ratio);
  const bool whole = std::fwrite(svg.data(), 1, svg.size(), file) == svg.size();
  return std::fclose(file) == 0 && whole;
}

bool ReadOptions(int argc, char** argv, Options& options) {
  int option = 0;
  while ((option = getopt(argc, argv, "n:s:p:h")) != -1) {
    if (option == 'n') {
      options.rollouts = std::max(10, std::atoi(optarg));
    } else if (option == 's') {
      options.seed = std::strtoull(optarg, nullptr, 10);
    } else if (option == 'p') {
      options.plot = optarg;
    } else {
      return false;
    }
  }
  return optind == argc;
}

}  // namespace
}  // namespace serin::bench

int main(int argc, char** argv) {
  using namespace serin::bench;
  Options options;
  if (!ReadOptions(argc, argv, options)) {
    std::fprintf(
        stderr,
        "usage: verdict_bench [-n ROLLOUTS] [-s SEED] [-p FILE.svg]\n"
        "Simulates rollouts and prints what each rule would have done.\n"
        "  -n  rollouts of each kind (2000)\n  -s  first seed (1)\n  -p  draw delay against error rate\n");
    return 2;
  }
  const auto begin = std::chrono::steady_clock::now();
  const serin::Plan plan;
  PrintTable(plan, options);
  PrintBadAnswers(plan, options);
  PrintSmallSite(plan, options);
  if (!options.plot.empty() && !WritePlot(plan, options)) {
    std::perror(options.plot.c_str());
    return 1;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("\n%.0f s on %u threads\n", took.count(), std::thread::hardware_concurrency());
  return 0;
}
