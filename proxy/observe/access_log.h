#pragma once
// One worker's access log: a JSON object per line, built straight into a
// buffer and written in large pieces. Owned by a worker, used on its thread;
// the LogFile behind it is shared. Allocates nothing after construction.

#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/time/time.h"
#include "proxy/base/types.h"
#include "proxy/observe/log_file.h"
#include "proxy/observe/worker_metrics.h"

namespace serin {

// One request, ended. Views are read during Append only.
struct AccessRecord {
  absl::Time time;          // when the request had been read, wall clock
  std::string_view client;  // address; "": a local peer
  std::string_view method;  // "" when the request was refused before it was known
  std::string_view host;
  std::string_view target;      // as received
  std::string_view protocol;    // "HTTP/1.1"
  uint16_t status = 0;          // sent to the client; 0: nothing
  uint64_t bytes_sent = 0;      // of the answer's body
  uint64_t bytes_received = 0;  // of the request's body
  int64_t duration_ns = 0;      // request read to answer handed to the socket
  int64_t backend_ns = -1;      // on a pool connection; -1: no pool was asked
  int64_t queue_ns = -1;        // waiting for a pool connection; -1: did not
  bool routed = false;          // pool, role and epoch are meaningful
  PoolId pool = PoolId::kBlue;
  Role role = Role::kStable;
  uint32_t epoch = 0;
  bool forced = false;           // routed by an override header or cookie
  bool pinned = false;           // to stable, by [[split.pin]]
  bool rescued = false;          // the canary failed, stable answered
  std::string_view error;        // reason ("read_timeout", "client_left"); "": none
  std::string_view request_id;   // X-Request-Id; left out when ""
  std::string_view traceparent;  // left out when ""
  std::string_view user_agent;   // left out when ""
  std::string_view referer;      // left out when ""
};

class AccessLog {
 public:
  // `metrics` (may be null) counts dropped lines; it must outlive the log.
  AccessLog(std::shared_ptr<const LogFile> file, WorkerMetrics* metrics);
  ~AccessLog() { Flush(); }
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  bool enabled() const { return file_->enabled(); }
  // Another file from a reload: what is buffered goes to the old one.
  void SetFile(std::shared_ptr<const LogFile> file);

  // Adds one line; writes when 32 KiB are waiting. Long texts are cut (each at
  // a length of its own, marked "…"), so a line stays under 16 KiB.
  void Append(const AccessRecord& record);
  // Writes what is waiting. A disk that is full or a reader that stalls loses
  // lines, which are counted; nothing waits.
  void Flush();

  uint64_t dropped() const { return dropped_; }

 private:
  // The buffer takes a whole line beyond the mark at which it is written.
  static constexpr size_t kFlushAt = 32 * 1024;
  static constexpr size_t kLineLimit = 16 * 1024;
  static constexpr size_t kCapacity = kFlushAt + kLineLimit;

  void Put(std::string_view text);
  void PutNumber(uint64_t number);
  void PutMillis(std::string_view name, int64_t nanos);
  void PutText(std::string_view name, std::string_view text, size_t limit);
  void PutTextIfAny(std::string_view name, std::string_view text, size_t limit);
  void PutBool(std::string_view name, bool value) { Put(name), Put(value ? "true" : "false"); }
  void PutTime(absl::Time time);
  void PutRoute(const AccessRecord& record);
  void Drop(uint64_t lines);

  std::shared_ptr<const LogFile> file_;
  WorkerMetrics* metrics_;
  std::unique_ptr<char[]> buffer_;
  size_t size_ = 0;
  uint64_t dropped_ = 0;
  bool torn_ = false;              // the last write ended inside a line
  int64_t formatted_second_ = -1;  // of second_text_
  char second_text_[32] = {};      // "2026-01-31T12:34:56"
};

}  // namespace serin
