// serin: reads the command line, checks the configuration, runs the server.

#include <CLI/CLI.hpp>
#include <iostream>

#include "proxy/base/log.h"
#include "proxy/config/check_report.h"
#include "proxy/config/config.h"
#include "proxy/server.h"

extern char** environ;

namespace {

int RunServer(serin::Config config, serin::Server::LoadConfigAgain load_again) {
  serin::Server server(std::move(config), std::move(load_again));
  if (absl::Status status = server.Open(); !status.ok()) {
    serin::LogError(std::string(status.message()));
    return 1;
  }
  server.Run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::string file = "/etc/serin/serin.toml";
  bool test_only = false;
  std::vector<std::string> settings;
  CLI::App app{"Serin splits traffic between two PHP-FPM pools and reverts a bad release by itself.",
               "serin"};
  app.add_option("-c,--config", file, "Configuration file")->envname("SERIN_CONFIG")->capture_default_str();
  app.add_flag("-t,--test", test_only, "Check the configuration and its certificates, and exit");
  app.add_option("--set", settings, "Override one key, as in --set rollout.hold=2m (repeatable)");
  app.set_version_flag("-V,--version", std::string("serin ") + SERIN_VERSION);
  CLI11_PARSE(app, argc, argv);

  const auto load = [&] {
    std::vector<serin::ConfigOverride> overrides;
    for (const std::string& setting : settings) overrides.push_back(serin::ParseSet(setting));
    return serin::LoadConfig(file, serin::SerinEnvironment(environ), overrides);
  };
  serin::ConfigResult result = load();
  if (test_only) {
    const serin::CheckReport report = serin::ReportOf(result, file);
    (report.ok ? std::cout : std::cerr) << report.text;
    return report.ok ? 0 : 1;
  }
  if (!result.ok()) {
    std::cerr << result.Text();
    return 1;
  }
  return RunServer(std::move(*result.config), load);
}
