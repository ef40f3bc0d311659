#include "controller/journal_record.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "controller/crc32c.h"
#include "proxy/base/hash.h"

namespace serin {
namespace {

constexpr size_t kMaxReason = 2000;    // one paragraph, %-encoded at most threefold
constexpr size_t kMaxEvidence = 1500;  // both pools, limits, detectors and three causes
constexpr size_t kMaxName = 128;
constexpr size_t kHead = 8 + 1 + 5 + 1;  // of a line: its checksum and its length

// The payload of a line whose frame is right.
std::optional<std::string_view> Unframe(std::string_view line) {
  if (line.size() < kHead || line.size() > kMaxJournalLine || line[8] != ' ' || line[14] != ' ') return {};
  uint32_t crc = 0;
  size_t length = 0;
  const char* begin = line.data();
  const auto crc_end = std::from_chars(begin, begin + 8, crc, 16);
  const auto length_end = std::from_chars(begin + 9, begin + 14, length, 10);
  if (crc_end.ptr != begin + 8 || length_end.ptr != begin + 14) return {};
  if (length != line.size() - kHead || Crc32c(line.substr(9)) != crc) return {};
  return line.substr(kHead);
}

class Writer {
 public:
  void Text(std::string_view key, std::string_view value, size_t limit) {
    if (value.empty()) return;
    Key(key);
    for (char c : value.substr(0, limit)) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte < 0x20 || byte == 0x7F || c == '%') {
        fmt::format_to(std::back_inserter(payload_), "%{:02X}", byte);
      } else {
        payload_ += c;
      }
    }
  }
  void Number(std::string_view key, int64_t value) {
    Key(key);
    fmt::format_to(std::back_inserter(payload_), "{}", value);
  }
  void Flag(std::string_view key, bool value) {
    if (value) Number(key, 1);
  }
  void Real(std::string_view key, double value) {
    Key(key);
    fmt::format_to(std::back_inserter(payload_), "{}", value);  // shortest that reads back the same
  }
  void Reals(std::string_view key, const std::vector<double>& values) {
    if (values.empty()) return;
    Key(key);
    for (size_t i = 0; i < values.size() && i < kDetectors; ++i)
      fmt::format_to(std::back_inserter(payload_), "{}{}", i == 0 ? "" : ",", values[i]);
  }
  const std::string& payload() const { return payload_; }

 private:
  void Key(std::string_view key) {
    if (!payload_.empty()) payload_ += '\t';
    payload_.append(key);
    payload_ += '=';
  }
  std::string payload_;
};

template <typename T>
bool ParseNumber(std::string_view text, T& value) {
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  return end.ec == std::errc() && end.ptr == text.data() + text.size() && !text.empty();
}

// One field's key and value; and what a record makes of it.
class Reader {
 public:
  // Calls `take(key, value)` for each field until it says false.
  template <typename Take>
  static bool Fields(std::string_view payload, Take&& take) {
    while (!payload.empty()) {
      const std::string_view field = payload.substr(0, payload.find('\t'));
      payload.remove_prefix(std::min(payload.size(), field.size() + 1));
      const size_t equals = field.find('=');
      if (equals == field.npos || !take(field.substr(0, equals), field.substr(equals + 1))) return false;
    }
    return true;
  }

  static bool Text(std::string_view value, std::string& text) {
    text.clear();
    for (size_t i = 0; i < value.size(); ++i) {
      if (value[i] != '%') {
        text += value[i];
        continue;
      }
      uint8_t byte = 0;
      if (i + 2 >= value.size()) return false;
      const auto end = std::from_chars(value.data() + i + 1, value.data() + i + 3, byte, 16);
      if (end.ptr != value.data() + i + 3) return false;
      text += static_cast<char>(byte);
      i += 2;
    }
    return true;
  }
  template <typename T>
  static bool Number(std::string_view value, int64_t least, int64_t most, T& number) {
    int64_t parsed = 0;
    if (!ParseNumber(value, parsed) || parsed < least || parsed > most) return false;
    number = static_cast<T>(parsed);
    return true;
  }
  static bool Flag(std::string_view value, bool& flag) { return Number(value, 0, 1, flag); }
  static bool Real(std::string_view value, double& real) {
    return ParseNumber(value, real) && std::isfinite(real);
  }
  static bool Reals(std::string_view value, std::vector<double>& reals) {
    reals.clear();
    while (!value.empty() && reals.size() < kDetectors) {
      const std::string_view item = value.substr(0, value.find(','));
      value.remove_prefix(std::min(value.size(), item.size() + 1));
      if (!Real(item, reals.emplace_back())) return false;
    }
    return value.empty();
  }
};

constexpr int64_t kMaxUint32 = 0xFFFFFFFF;
constexpr int64_t kMaxMicros = int64_t{1} << 60;  // 36,000 years

void WriteSplit(const SplitState& split, Writer& out) {
  out.Number("epoch", split.epoch.value());
  out.Number("rollout", split.rollout);
  out.Number("weight", split.canary_weight.basis_points());
  out.Text("canary", Name(split.canary_pool), kMaxName);
  out.Flag("engaged", split.engaged);
  out.Flag("shadow", split.shadow);
  if (split.drains > 0) out.Number("drains", split.drains);
}

bool ReadEpoch(std::string_view value, Epoch& epoch) {
  uint32_t number = 0;
  const bool good = Reader::Number(value, 0, kMaxUint32, number);
  epoch = Epoch(number);
  return good;
}

// True when the key was one of the split's; `good` turns false on a bad value.
bool ReadSplit(std::string_view key, std::string_view value, SplitState& split, bool& good) {
  uint32_t number = 0;
  if (key == "epoch") {
    good = ReadEpoch(value, split.epoch);
  } else if (key == "rollout") {
    good = Reader::Number(value, 0, 0xFFFF, split.rollout);
  } else if (key == "weight") {
    good = Reader::Number(value, 0, Weight::kFull, number);
    split.canary_weight = Weight::BasisPoints(number);
  } else if (key == "canary") {
    good = value == Name(PoolId::kBlue) || value == Name(PoolId::kGreen);
    split.canary_pool = value == Name(PoolId::kBlue) ? PoolId::kBlue : PoolId::kGreen;
  } else if (key == "engaged") {
    good = Reader::Flag(value, split.engaged);
  } else if (key == "shadow") {
    good = Reader::Flag(value, split.shadow);
  } else if (key == "drains") {
    good = Reader::Number(value, 0, kMaxUint32, split.drains);
  } else {
    return false;
  }
  return true;
}

bool ReadState(std::string_view value, RolloutState& state) {
  for (int i = 0; i < kRolloutStateCount; ++i) {
    state = static_cast<RolloutState>(i);
    if (Name(state) == value) return true;
  }
  return false;
}

bool ReadDuration(std::string_view value, absl::Duration& duration) {
  int64_t micros = 0;
  const bool good = Reader::Number(value, 0, kMaxMicros, micros);
  duration = absl::Microseconds(micros);
  return good;
}

bool ReadKind(std::string_view value, RecordKind& kind) {
  if (value.size() != 1 || std::string_view("IRCH").find(value[0]) == std::string_view::npos) return false;
  kind = static_cast<RecordKind>(value[0]);
  return true;
}

bool ReadTime(std::string_view value, absl::Time& time) {
  int64_t micros = 0;
  const bool good = Reader::Number(value, -kMaxMicros, kMaxMicros, micros);
  time = absl::FromUnixMicros(micros);
  return good;
}

bool ReadRollout(std::string_view key, std::string_view value, Rollout& rollout, bool& good) {
  if (ReadSplit(key, value, rollout.split, good)) return true;
  if (key == "state") {
    good = ReadState(value, rollout.state);
  } else if (key == "release") {
    good = Reader::Text(value, rollout.release);
  } else if (key == "step") {
    good = Reader::Number(value, 0, 100000, rollout.step);
  } else if (key == "first_epoch") {
    good = ReadEpoch(value, rollout.first_epoch);
  } else if (key == "step_epoch") {
    good = ReadEpoch(value, rollout.step_epoch);
  } else if (key == "held_us") {
    good = ReadDuration(value, rollout.held);
  } else if (key == "baking") {
    good = Reader::Flag(value, rollout.baking);
  } else if (key == "manual") {
    good = Reader::Flag(value, rollout.manual);
  } else if (key == "undoable") {
    good = Reader::Flag(value, rollout.undoable);
  } else if (key == "warned") {
    good = Reader::Flag(value, rollout.warned);
  } else if (key == "why") {
    good = Reader::Text(value, rollout.reason);
  } else {
    return false;
  }
  return true;
}

bool ReadField(std::string_view key, std::string_view value, Record& record) {
  bool good = true;
  if (ReadRollout(key, value, record.rollout, good)) return good;
  if (key == "kind") return ReadKind(value, record.kind);
  if (key == "at_us") return ReadTime(value, record.at);
  if (key == "towards_stable") return Reader::Flag(value, record.towards_stable);
  if (key == "event") return Reader::Text(value, record.event);
  if (key == "by") return Reader::Text(value, record.by);
  if (key == "reason") return Reader::Text(value, record.reason);
  if (key == "evidence") return Reader::Text(value, record.evidence);
  if (key == "error_levels") return Reader::Reals(value, record.memory.error_levels);
  if (key == "slow_levels") return Reader::Reals(value, record.memory.slow_levels);
  if (key == "expected") return Reader::Real(value, record.memory.expected_requests);
  if (key == "counted") return Reader::Number(value, 0, INT64_MAX, record.memory.counted);
  return true;  // a newer serin's
}

}  // namespace

std::string FrameLine(std::string_view payload) {
  const std::string body = fmt::format("{:05} {}", payload.size(), payload);
  return fmt::format("{:08x} {}\n", Crc32c(body), body);
}

std::string EncodeRecord(const Record& record) {
  const Rollout& rollout = record.rollout;
  // %-encoding can triple a text; cut it further rather than break the bound.
  for (size_t limit = kMaxReason;; limit /= 2) {
    Writer out;
    out.Text("kind", std::string(1, static_cast<char>(record.kind)), 1);
    out.Number("at_us", absl::ToUnixMicros(record.at));
    out.Text("event", record.event, kMaxName);
    out.Text("state", Name(rollout.state), kMaxName);
    WriteSplit(rollout.split, out);
    out.Text("release", rollout.release, kMaxName);
    out.Number("step", rollout.step);
    out.Number("first_epoch", rollout.first_epoch.value());
    out.Number("step_epoch", rollout.step_epoch.value());
    out.Number("held_us", absl::ToInt64Microseconds(rollout.held));
    out.Flag("baking", rollout.baking);
    out.Flag("manual", rollout.manual);
    out.Flag("undoable", rollout.undoable);
    out.Flag("warned", rollout.warned);
    out.Flag("towards_stable", record.towards_stable);
    out.Text("by", record.by, kMaxName);
    out.Text("reason", record.reason, limit);
    out.Text("evidence", record.evidence, std::min(limit, kMaxEvidence));
    if (record.kind != RecordKind::kHistory) out.Text("why", rollout.reason, limit);
    out.Reals("error_levels", record.memory.error_levels);
    out.Reals("slow_levels", record.memory.slow_levels);
    out.Real("expected", record.memory.expected_requests);
    out.Number("counted", record.memory.counted);
    std::string line = FrameLine(out.payload());
    if (line.size() <= kMaxJournalLine || limit == 0) return line;
  }
}

std::optional<Record> DecodeRecord(std::string_view line) {
  const std::optional<std::string_view> payload = Unframe(line);
  if (!payload) return {};
  Record record;
  bool has_kind = false;
  const bool good = Reader::Fields(*payload, [&](std::string_view key, std::string_view value) {
    has_kind = has_kind || key == "kind";
    return ReadField(key, value, record);
  });
  return good && has_kind ? std::optional(std::move(record)) : std::nullopt;
}

std::string EncodeHeader(size_t size) {
  Writer out;
  out.Text("journal", "serin", kMaxName);
  out.Number("version", 1);
  out.Number("size", static_cast<int64_t>(size));
  return FrameLine(out.payload());
}

std::optional<size_t> DecodeHeader(std::string_view line) {
  const std::optional<std::string_view> payload = Unframe(line);
  if (!payload) return {};
  size_t size = 0;
  bool ours = false;
  const bool good = Reader::Fields(*payload, [&](std::string_view key, std::string_view value) {
    if (key == "journal") ours = value == "serin";
    if (key == "version") return value == "1";
    if (key == "size") return Reader::Number(value, 0, int64_t{1} << 40, size);
    return true;
  });
  return good && ours ? std::optional(size) : std::nullopt;
}

std::string EncodeRoles(const SplitState& split) {
  Writer out;
  WriteSplit(split, out);
  return FrameLine(out.payload());
}

std::optional<SplitState> DecodeRoles(std::string_view line) {
  const std::optional<std::string_view> payload = Unframe(line.substr(0, line.find('\n')));
  if (!payload) return {};
  SplitState split;
  bool good = true;
  Reader::Fields(*payload, [&](std::string_view key, std::string_view value) {
    return !ReadSplit(key, value, split, good) || good;
  });
  return good ? std::optional(split) : std::nullopt;
}

// Can this bad line be the beginning of one record, as a write that was cut
// short leaves it? If its head is damaged, or it holds more bytes than its head
// says, it may have swallowed a record that matters.
static bool IsOneCutShort(std::string_view line) {
  if (line.size() < kHead) return true;
  size_t length = 0;
  uint32_t crc = 0;
  const auto crc_end = std::from_chars(line.data(), line.data() + 8, crc, 16);
  return crc_end.ptr == line.data() + 8 && ParseNumber(line.substr(9, 5), length) &&
         line.size() <= length + kHead;
}

JournalText ReadJournal(std::string_view bytes) {
  JournalText text;
  const std::string_view header = bytes.substr(0, bytes.find('\n'));
  const std::optional<size_t> size = DecodeHeader(header);
  if (!size) {
    text.damaged = text.lost = true;
    text.warnings.push_back(bytes.empty() ? "the journal is empty" : "the journal's first line is damaged");
  }
  text.size = size.value_or(0);
  text.end = size ? header.size() + 1 : 0;
  size_t bad_bytes = 0;  // since the last good record
  size_t bad_lines = 0;
  size_t last_end = text.end;
  for (size_t at = text.end; (at = bytes.find_first_not_of('\n', at)) != std::string_view::npos;) {
    const std::string_view line = bytes.substr(at, bytes.find('\n', at) - at);
    const size_t next = at + line.size() + 1;
    last_end = next;
    if (std::optional<Record> record = DecodeRecord(line)) {
      if (bad_lines > 0 && size) {
        text.warnings.push_back(
            fmt::format("{} damaged record(s) before byte {} of the journal were skipped", bad_lines, at));
      }
      text.records.push_back(*std::move(record));
      text.end = next;
      bad_bytes = bad_lines = 0;
    } else if (at > 0 || size) {
      text.damaged = true;
      bad_bytes += line.size();
      if (!IsOneCutShort(line)) ++bad_lines;
      ++bad_lines;
    }
    at = next;
  }
  if (bad_lines > 0) {
    text.warnings.push_back(fmt::format("the journal's end is damaged: {} bytes were cut", bad_bytes));
    if (bad_lines > 1 || bad_bytes > kMaxJournalLine) text.lost = true;
  }
  if (bytes.size() < text.size && last_end >= bytes.size()) {
    text.damaged = text.lost = true;
    text.warnings.push_back(fmt::format("the journal has been truncated to {} bytes", bytes.size()));
  }
  return text;
}

}  // namespace serin
