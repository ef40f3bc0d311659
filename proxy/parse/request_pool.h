#pragma once
// What the sessions of one worker share, so that an idle connection holds no
// request and no buffer, and a busy one allocates nothing: spare Requests,
// spare buffers, one scratch string, the Date. Must outlive its sessions. One
// thread.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proxy/base/spool.h"
#include "proxy/message.h"
#include "proxy/parse/http_date.h"

namespace serin {

class RequestPool {
 public:
  // Keeps a copy of the limits, which the requests refer to: it must outlive them.
  explicit RequestPool(Spool::Limits spool_limits) : spool_limits_(std::move(spool_limits)) {
    requests_.reserve(kMaxRequests);
    buffers_.reserve(kMaxBuffers);
  }
  RequestPool(const RequestPool&) = delete;
  RequestPool& operator=(const RequestPool&) = delete;

  // An empty request.
  std::unique_ptr<Request> Take() {
    if (requests_.empty()) return std::make_unique<Request>(spool_limits_);
    std::unique_ptr<Request> request = std::move(requests_.back());
    requests_.pop_back();
    return request;
  }
  // Clears it at once: a body's file must not wait for the next user.
  void Give(std::unique_ptr<Request> request) {
    if (request == nullptr || requests_.size() == kMaxRequests) return;
    request->Clear();
    requests_.push_back(std::move(request));
  }

  // An empty string that may have capacity.
  std::string TakeBuffer() {
    if (buffers_.empty()) return {};
    std::string buffer = std::move(buffers_.back());
    buffers_.pop_back();
    return buffer;
  }
  void GiveBuffer(std::string buffer) {
    if (buffers_.size() == kMaxBuffers || buffer.capacity() > kMaxBufferSize) return;
    buffer.clear();
    buffers_.push_back(std::move(buffer));
  }

  // For the length of one function that calls nobody.
  std::string& scratch() { return scratch_; }
  HttpDate& date() { return date_; }

  size_t spare_requests() const { return requests_.size(); }

 private:
  // A spare request keeps up to 16 KiB of head and 16 KiB of body: 8 MiB.
  static constexpr size_t kMaxRequests = 256;
  // Of heads that come in pieces and of pipelined requests: 4 MiB.
  static constexpr size_t kMaxBuffers = 64;
  static constexpr size_t kMaxBufferSize = 64 * 1024;

  const Spool::Limits spool_limits_;
  std::vector<std::unique_ptr<Request>> requests_;
  std::vector<std::string> buffers_;
  std::string scratch_;
  HttpDate date_;
};

}  // namespace serin
