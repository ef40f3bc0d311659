#include "proxy/parse/body_reader.h"

#include <algorithm>

namespace serin {
namespace {

// Chunks below this are gathered once the body has gone to a file: a client
// that sends single bytes must not buy a system call with each.
constexpr size_t kSmallChunk = 4 * 1024;

}  // namespace

void BodyReader::Start(const Framing& framing) {
  chunked_ = framing.kind() == BodyKind::kChunked;
  left_ = chunked_ ? 0 : framing.length();
  chunks_ = ChunkDecoder();
}

Refusal BodyReader::Read(std::string_view& in, Spool& body, const ClientLimits& limits,
                         std::string& scratch) {
  if (chunked_) return ReadChunks(in, body, limits, scratch);
  const std::string_view taken = in.substr(0, static_cast<size_t>(std::min<uint64_t>(left_, in.size())));
  if (!taken.empty() && !body.Append(taken)) return Refusal::kStorageFailed;
  in.remove_prefix(taken.size());
  left_ -= taken.size();
  return Refusal::kNone;
}

Refusal BodyReader::ReadChunks(std::string_view& in, Spool& body, const ClientLimits& limits,
                               std::string& scratch) {
  const ChunkDecoder::Limits bounds{limits.chunk_line, limits.trailers, limits.body};
  scratch.clear();
  while (!in.empty() && !chunks_.done()) {
    std::string_view data;
    const Refusal refusal = chunks_.Next(in, data, bounds);
    if (refusal != Refusal::kNone) return refusal;
    if (!body.in_memory() && data.size() < kSmallChunk && scratch.size() < 4 * kSmallChunk) {
      scratch.append(data);
      continue;
    }
    if (!scratch.empty() && !body.Append(scratch)) return Refusal::kStorageFailed;
    scratch.clear();
    if (!data.empty() && !body.Append(data)) return Refusal::kStorageFailed;
  }
  return scratch.empty() || body.Append(scratch) ? Refusal::kNone : Refusal::kStorageFailed;
}

}  // namespace serin
