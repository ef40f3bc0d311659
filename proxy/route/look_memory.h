#pragma once
// What a look at a path has found, for as long as nobody has said Forget: the
// same few paths are asked for again and again, and each look costs up to three
// system calls. Bounded: a path takes the place of another with its hash, long
// ones have none. Paths come from clients, who can at worst make it useless.
// One worker's thread.

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "proxy/base/hash.h"
#include "proxy/route/script.h"

namespace serin {

class LookMemory {
 public:
  static constexpr size_t kPlaces = 128;
  static constexpr size_t kLongestPath = 122;

  std::optional<FileKind> Find(std::string_view path) const {
    const Place& place = places_[HashBytes(path) % kPlaces];
    if (place.generation != generation_ || std::string_view(place.path.data(), place.size) != path)
      return std::nullopt;
    return place.kind;
  }
  void Keep(std::string_view path, FileKind kind) {
    if (path.size() > kLongestPath) return;
    Place& place = places_[HashBytes(path) % kPlaces];
    place.generation = generation_;
    place.kind = kind;
    place.size = static_cast<uint8_t>(path.size());
    std::copy_n(path.data(), path.size(), place.path.data());
  }
  void Forget() { ++generation_; }

 private:
  struct Place {
    uint32_t generation = 0;  // 0: nothing yet
    FileKind kind = FileKind::kMissing;
    uint8_t size = 0;
    std::array<char, kLongestPath> path{};
  };
  std::array<Place, kPlaces> places_{};
  uint32_t generation_ = 1;
};

}  // namespace serin
