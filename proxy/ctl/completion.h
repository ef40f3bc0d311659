#pragma once
// Completion scripts for shells, from the list of verbs. Pure.

#include <string>
#include <vector>

namespace serin {

struct CompletionVerb {
  std::string name;
  std::string help;                // one line
  std::vector<std::string> flags;  // "--wait", "-w"
  std::vector<std::string> words;  // what may follow: "blue", "green"
  bool takes_file = false;
};

struct CompletionSpec {
  std::string program;
  std::vector<std::string> flags;  // of every verb; --socket takes a file
  std::vector<CompletionVerb> verbs;
};

// `shell`: "bash", "zsh" or "fish"; "" for any other.
std::string CompletionScript(const std::string& shell, const CompletionSpec& spec);

}  // namespace serin
