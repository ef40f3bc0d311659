#pragma once
// Takes a request's body off the connection into its spool: counted by
// Content-Length, or chunked. One body at a time, one thread.

#include <string>
#include <string_view>

#include "proxy/base/spool.h"
#include "proxy/parse/chunk_decoder.h"
#include "proxy/parse/framing.h"
#include "proxy/parse/refusal.h"
#include "proxy/session.h"

namespace serin {

class BodyReader {
 public:
  void Start(const Framing& framing);
  // Takes what belongs to the body off the front of `in`. `scratch` is
  // overwritten. 507: the spool's file cannot be written.
  Refusal Read(std::string_view& in, Spool& body, const ClientLimits& limits, std::string& scratch);
  bool done() const { return chunked_ ? chunks_.done() : left_ == 0; }

 private:
  Refusal ReadChunks(std::string_view& in, Spool& body, const ClientLimits& limits, std::string& scratch);

  bool chunked_ = false;
  uint64_t left_ = 0;  // without chunks
  ChunkDecoder chunks_;
};

}  // namespace serin
