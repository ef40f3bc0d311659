#include "proxy/observe/access_log.h"

#include <time.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "proxy/observe/json_text.h"

namespace serin {
namespace {

// Bounds on the escaped length of what clients choose. Together with names and
// numbers they stay below kLineLimit.
constexpr size_t kTargetLimit = 8192;
constexpr size_t kRefererLimit = 2048;
constexpr size_t kUserAgentLimit = 1024;
constexpr size_t kHostLimit = 512;
constexpr size_t kTraceLimit = 256;
constexpr size_t kWordLimit = 64;
static_assert(kTargetLimit + kRefererLimit + kUserAgentLimit + kHostLimit + 2 * kTraceLimit + 4 * kWordLimit +
                  1024 <
              16 * 1024);

}  // namespace

AccessLog::AccessLog(std::shared_ptr<const LogFile> file, WorkerMetrics* metrics)
    : file_(std::move(file)), metrics_(metrics), buffer_(std::make_unique<char[]>(kCapacity)) {}

void AccessLog::SetFile(std::shared_ptr<const LogFile> file) {
  Flush();
  file_ = std::move(file);
  torn_ = false;
}

void AccessLog::Put(std::string_view text) {
  std::memcpy(buffer_.get() + size_, text.data(), text.size());
  size_ += text.size();
}

void AccessLog::PutNumber(uint64_t number) {
  char* const begin = buffer_.get() + size_;
  size_ = static_cast<size_t>(std::to_chars(begin, begin + 20, number).ptr - buffer_.get());
}

// Milliseconds with three decimals; null for a negative number.
void AccessLog::PutMillis(std::string_view name, int64_t nanos) {
  Put(name);
  if (nanos < 0) return Put("null");
  const auto micros = static_cast<uint64_t>(nanos + 500) / 1000;
  PutNumber(micros / 1000);
  const auto rest = static_cast<unsigned>(micros % 1000);
  const char digits[] = {'.', static_cast<char>('0' + rest / 100), static_cast<char>('0' + rest / 10 % 10),
                         static_cast<char>('0' + rest % 10)};
  Put({digits, sizeof digits});
}

void AccessLog::PutText(std::string_view name, std::string_view text, size_t limit) {
  Put(name);
  if (text.empty()) return Put("null");
  Put("\"");
  size_ += WriteJsonText(text, {buffer_.get() + size_, limit});
  Put("\"");
}

void AccessLog::PutTextIfAny(std::string_view name, std::string_view text, size_t limit) {
  if (!text.empty()) PutText(name, text, limit);
}

// The calendar part is worked out once a second.
void AccessLog::PutTime(absl::Time time) {
  const int64_t millis = absl::ToUnixMillis(time);
  const int64_t second = millis >= 0 ? millis / 1000 : 0;
  if (second != formatted_second_) {
    const time_t calendar = second;
    tm parts{};
    gmtime_r(&calendar, &parts);
    strftime(second_text_, sizeof second_text_, "%Y-%m-%dT%H:%M:%S", &parts);
    formatted_second_ = second;
  }
  const auto rest = static_cast<unsigned>(millis >= 0 ? millis % 1000 : 0);
  const char tail[] = {'.', static_cast<char>('0' + rest / 100), static_cast<char>('0' + rest / 10 % 10),
                       static_cast<char>('0' + rest % 10), 'Z'};
  Put(second_text_);
  Put({tail, sizeof tail});
}

void AccessLog::PutRoute(const AccessRecord& record) {
  if (!record.routed) return Put(R"(,"pool":null,"role":null,"epoch":null)");
  Put(R"(,"pool":")"), Put(Name(record.pool));
  Put(R"(","role":")"), Put(Name(record.role));
  Put(R"(","epoch":)"), PutNumber(record.epoch);
}

void AccessLog::Append(const AccessRecord& record) {
  if (!file_->enabled()) return;
  Put(R"({"time":")"), PutTime(record.time), Put("\"");
  PutText(R"(,"client":)", record.client, kWordLimit);
  PutText(R"(,"method":)", record.method, kWordLimit);
  PutText(R"(,"host":)", record.host, kHostLimit);
  PutText(R"(,"target":)", record.target, kTargetLimit);
  PutText(R"(,"protocol":)", record.protocol, kWordLimit);
  Put(R"(,"status":)"), PutNumber(record.status);
  Put(R"(,"bytes_sent":)"), PutNumber(record.bytes_sent);
  Put(R"(,"bytes_received":)"), PutNumber(record.bytes_received);
  PutMillis(R"(,"duration_ms":)", std::max<int64_t>(record.duration_ns, 0));
  PutMillis(R"(,"backend_ms":)", record.backend_ns);
  PutMillis(R"(,"queue_ms":)", record.queue_ns);
  PutRoute(record);
  PutBool(R"(,"forced":)", record.forced);
  PutBool(R"(,"pinned":)", record.pinned);
  PutBool(R"(,"rescued":)", record.rescued);
  PutText(R"(,"error":)", record.error, kWordLimit);
  PutTextIfAny(R"(,"request_id":)", record.request_id, kTraceLimit);
  PutTextIfAny(R"(,"traceparent":)", record.traceparent, kTraceLimit);
  PutTextIfAny(R"(,"user_agent":)", record.user_agent, kUserAgentLimit);
  PutTextIfAny(R"(,"referer":)", record.referer, kRefererLimit);
  Put("}\n");
  if (size_ >= kFlushAt) Flush();
}

void AccessLog::Flush() {
  if (size_ == 0) return;
  std::string_view lines(buffer_.get(), size_);
  size_ = 0;
  if (torn_) {
    // Ends the half line that the last write left; without this the first
    // line of this piece would be lost with it.
    if (file_->Write("\n") != 1)
      return Drop(static_cast<uint64_t>(std::count(lines.begin(), lines.end(), '\n')));
    torn_ = false;
  }
  const size_t taken = file_->Write(lines);
  if (taken == lines.size()) return;
  torn_ = taken > 0 && lines[taken - 1] != '\n';
  lines.remove_prefix(taken);
  Drop(static_cast<uint64_t>(std::count(lines.begin(), lines.end(), '\n')));
}

void AccessLog::Drop(uint64_t lines) {
  dropped_ += lines;
  if (metrics_ != nullptr) metrics_->AddLogLinesDropped(lines);
}

}  // namespace serin
