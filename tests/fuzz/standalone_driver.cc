// Runs a fuzz target without libFuzzer: over its seeds as they are, then over
// a fixed number of mutations of them from a fixed random sequence, so that
// every build of every compiler tries the same inputs.
//
//   NAME_fuzz_smoke CORPUS_DIRECTORY|FILE [RUNS [SEED]]
//
// A target that finds something aborts; the input is then in fuzz-smoke-crash.bin.

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "proxy/base/hash.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr size_t kMaxInput = 16 * 1024;
constexpr const char* kCrashFile = "fuzz-smoke-crash.bin";
const std::string* current_input = nullptr;  // for the signal handler only

// What the formats under test trip over. Inserted whole.
constexpr const char* kWords[] = {"\r\n",
                                  "\r\n\r\n",
                                  "\n",
                                  " ",
                                  "\t",
                                  ":",
                                  ",",
                                  ";",
                                  "%",
                                  "%00",
                                  "%2e%2e",
                                  "/../",
                                  "//",
                                  "0\r\n\r\n",
                                  "chunked",
                                  "Transfer-Encoding: chunked\r\n",
                                  "Content-Length: 5\r\n",
                                  "Host: a\r\n",
                                  "HTTP/1.1",
                                  "HTTP/1.0",
                                  "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                                  "Status: ",
                                  "{",
                                  "}",
                                  "\"",
                                  "-1",
                                  "18446744073709551616",
                                  "ffffffffffffffff",
                                  "\xff\xff\xff\xff"};

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next() { return serin::Mix64(state_ += 0x9E3779B97F4A7C15ULL); }
  size_t Below(size_t bound) { return bound == 0 ? 0 : static_cast<size_t>(Next() % bound); }

 private:
  uint64_t state_;
};

std::vector<std::string> ReadCorpus(const char* directory) {
  std::vector<std::string> corpus;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    std::ifstream file(entry.path(), std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  std::sort(corpus.begin(), corpus.end());  // directory order is the file system's
  if (corpus.empty()) corpus.emplace_back();
  return corpus;
}

void Mutate(std::string& input, const std::vector<std::string>& corpus, Random& random) {
  const size_t at = random.Below(input.size() + 1);
  const size_t length = random.Below(std::min<size_t>(input.size() - at, 64) + 1);
  switch (random.Below(7)) {
    case 0:
      if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1 << random.Below(8)));
      return;
    case 1:
      if (at < input.size()) input[at] = static_cast<char>(random.Next());
      return;
    case 2:
      input.erase(at, length);
      return;
    case 3:
      input.insert(at, input.substr(at, length));
      return;
    case 4:
      input.insert(at, kWords[random.Below(std::size(kWords))]);
      return;
    case 5:
      input.insert(at, 1, static_cast<char>(random.Next()));
      return;
    default: {
      const std::string& other = corpus[random.Below(corpus.size())];
      const size_t from = random.Below(other.size() + 1);
      input.insert(at, other.substr(from, random.Below(256)));
    }
  }
}

void KeepInput(int signal_number) {
  if (FILE* file = current_input == nullptr ? nullptr : std::fopen(kCrashFile, "wb")) {
    std::fwrite(current_input->data(), 1, current_input->size(), file);
    std::fclose(file);
  }
  std::signal(signal_number, SIG_DFL);
  std::raise(signal_number);
}

void Run(const std::string& input) {
  current_input = &input;
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s CORPUS_DIRECTORY|FILE [RUNS [SEED]]\n", argv[0]);
    return 2;
  }
  std::signal(SIGABRT, KeepInput);
  if (std::filesystem::is_regular_file(argv[1])) {  // to see a crash again
    std::ifstream file(argv[1], std::ios::binary);
    Run(std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()));
    return 0;
  }
  const uint64_t runs = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 20000;
  const uint64_t seed = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1;
  const std::vector<std::string> corpus = ReadCorpus(argv[1]);
  std::printf("%zu seeds, %llu mutations, random seed %llu\n", corpus.size(),
              static_cast<unsigned long long>(runs), static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  for (const std::string& input : corpus) Run(input);
  Random random(seed);
  for (uint64_t i = 0; i < runs; ++i) {
    std::string input = corpus[random.Below(corpus.size())];
    for (size_t n = 1 + random.Below(8); n > 0; --n) Mutate(input, corpus, random);
    input.resize(std::min(input.size(), kMaxInput));
    Run(input);
  }
  return 0;
}
