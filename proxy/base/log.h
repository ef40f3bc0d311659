#pragma once
// The process log: one line per event on standard error, for people and
// journald. Never called per request. The library (spdlog) stays in log.cc.
// Any thread.

#include <string_view>

namespace serin {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Sets the least level that is written. Default: kInfo.
void SetLogLevel(LogLevel level);
// "debug", "info", "warning" or "error"; false for any other word.
bool ParseLogLevel(std::string_view word, LogLevel& level);
void Log(LogLevel level, std::string_view message);

inline void LogDebug(std::string_view message) { Log(LogLevel::kDebug, message); }
inline void LogInfo(std::string_view message) { Log(LogLevel::kInfo, message); }
inline void LogWarning(std::string_view message) { Log(LogLevel::kWarning, message); }
inline void LogError(std::string_view message) { Log(LogLevel::kError, message); }

}  // namespace serin
