#pragma once
// How much useless work a client may make us do: frames that move nothing
// (PING, SETTINGS, PRIORITY, empty DATA: CVE-2019-9512, -9515, -9518), streams
// that it resets (CVE-2023-44487) or makes us reset (CVE-2025-8671). Measured
// against the useful work it gives us rather than against a clock: a busy
// client may ping a lot, an idle one runs dry, and a test needs no time. One
// connection's, one thread.

#include <algorithm>
#include <cstdint>

namespace serin {

class Http2Guard {
 public:
  // What a new connection has, and what it can save up. A browser that opens a
  // hundred pictures and leaves the page costs 100 × kReset.
  static constexpr int kBudget = 2000;
  // Costs.
  static constexpr int kIdleFrame = 1;
  static constexpr int kReset = 10;      // by the client, before the answer was whole
  static constexpr int kMalformed = 20;  // the client's fault: a stream that we reset
  // Gains.
  static constexpr int kAnswered = 20;  // a request answered to the end
  static constexpr int kBodyPiece = 2;  // for each kPieceSize of body, in either direction
  static constexpr uint64_t kPieceSize = 16 * 1024;

  // False: enough; the connection is to end with ENHANCE_YOUR_CALM.
  [[nodiscard]] bool Spend(int cost) {
    budget_ -= cost;
    return budget_ >= 0;
  }
  void Earn(int gain) { budget_ = std::min(budget_ + gain, kBudget); }
  void EarnBody(uint64_t bytes) {
    moved_ += bytes;
    if (moved_ < kPieceSize) return;
    Earn(static_cast<int>(std::min<uint64_t>(moved_ / kPieceSize, kBudget)) * kBodyPiece);
    moved_ %= kPieceSize;
  }

 private:
  int budget_ = kBudget;
  uint64_t moved_ = 0;
};

}  // namespace serin
