#pragma once
// One mistake in the configuration, with its place. Values; any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace serin {

// Where a value was written.
struct Place {
  // Also the order in which they win and are reported.
  enum class Source : uint8_t { kDefault, kFile, kEnvironment, kFlag };
  Source source = Source::kDefault;
  std::string name;     // the file, the variable or the flag
  uint32_t line = 0;    // 1-based; 0: the file as a whole
  uint32_t column = 0;  // 1-based, in characters
};

struct Diagnostic {
  Place place;
  std::string message;
  std::string source_line;  // the line it stands in; empty without one

  // In the form compilers use, with the line and a caret:
  //   serin.toml:14:10: step is 120%; expected 0%–100%
  //     steps = ["120%"]
  //              ^
  std::string ToString() const;
};

// Collects the mistakes made in one reading.
class Diagnostics {
 public:
  // `text` is the file's; it must outlive this object.
  explicit Diagnostics(std::string_view text) : text_(text) {}
  void Add(const Place& place, std::string message);
  bool empty() const { return found_.empty(); }
  // In the order of their places; leaves this empty.
  std::vector<Diagnostic> Take();

 private:
  std::string_view text_;
  std::vector<Diagnostic> found_;
};

// The word of `known` that was probably meant by `word`: at most a third of its
// letters wrong (insertions, deletions, replacements and swapped neighbours).
std::optional<std::string> Suggest(std::string_view word, const std::vector<std::string>& known);

}  // namespace serin
