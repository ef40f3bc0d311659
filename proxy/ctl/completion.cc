#include "proxy/ctl/completion.h"

#include <fmt/format.h>

namespace serin {
namespace {

std::string Join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

// Inside single quotes.
std::string Quoted(const std::string& text) {
  std::string quoted;
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted;
}

std::string Bash(const CompletionSpec& spec) {
  std::string verbs, cases;
  for (const CompletionVerb& verb : spec.verbs) {
    verbs += (verbs.empty() ? "" : " ") + verb.name;
    std::vector<std::string> words = verb.words;
    words.insert(words.end(), verb.flags.begin(), verb.flags.end());
    cases +=
        fmt::format("    {}) words='{}'; files={} ;;\n", verb.name, Join(words), verb.takes_file ? 1 : 0);
  }
  return fmt::format(
      R"(# bash completion for {0}; put it into /usr/share/bash-completion/completions/{0}
_{0}() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}}
  local verb='' words='' files=0 i
  COMPREPLY=()
  if [[ $previous == --socket ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
    return
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${{COMP_WORDS[i]}} in
      --socket) ((i++)) ;;
      -*) ;;
      *) verb=${{COMP_WORDS[i]}}; break ;;
    esac
  done
  case $verb in
    '') words='{1}' ;;
{2}  esac
  mapfile -t COMPREPLY < <(compgen -W "$words {3}" -- "$current")
  if ((files)); then
    compopt -o filenames 2>/dev/null
    mapfile -t -O "${{#COMPREPLY[@]}}" COMPREPLY < <(compgen -f -- "$current")
  fi
}}
complete -F _{0} {0}
)",
      spec.program, verbs, cases, Join(spec.flags));
}

std::string Zsh(const CompletionSpec& spec) {
  std::string verbs, cases;
  for (const CompletionVerb& verb : spec.verbs) {
    verbs += fmt::format("    '{}:{}'\n", verb.name, Quoted(verb.help));
    std::vector<std::string> words = verb.words;
    words.insert(words.end(), verb.flags.begin(), verb.flags.end());
    cases += fmt::format("    {}) compadd -- {}{} ;;\n", verb.name, Join(words),
                         verb.takes_file ? "; _files" : "");
  }
  return fmt::format(
      R"(#compdef {0}
# zsh completion for {0}; put it into a folder of $fpath as _{0}
_{0}() {{
  local -a verbs
  local verb='' i
  verbs=(
{1}  )
  if [[ ${{words[CURRENT-1]}} == --socket ]]; then
    _files
    return
  fi
  for ((i = 2; i < CURRENT; i++)); do
    case ${{words[i]}} in
      --socket) ((i++)) ;;
      -*) ;;
      *) verb=${{words[i]}}; break ;;
    esac
  done
  [[ -z $verb ]] && _describe -t commands 'command' verbs
  case $verb in
{2}  esac
  compadd -- {3}
}}
compdef _{0} {0}
)",
      spec.program, verbs, cases, Join(spec.flags));
}

// "--wait" → "-l wait", "-w" → "-s w"
std::string FishFlag(const std::string& flag) {
  return flag.starts_with("--") ? "-l " + flag.substr(2) : "-s " + flag.substr(1);
}

std::string Fish(const CompletionSpec& spec) {
  std::string names, text;
  for (const CompletionVerb& verb : spec.verbs) names += (names.empty() ? "" : " ") + verb.name;
  text = fmt::format(
      "# fish completion for {0}; put it into ~/.config/fish/completions/{0}.fish\ncomplete -c {0} -f\n",
      spec.program);
  for (const std::string& flag : spec.flags) {
    text += fmt::format("complete -c {} {}{}\n", spec.program, FishFlag(flag),
                        flag == "--socket" ? " -r -F" : "");
  }
  for (const CompletionVerb& verb : spec.verbs) {
    text += fmt::format("complete -c {} -n 'not __fish_seen_subcommand_from {}' -a {} -d '{}'\n",
                        spec.program, names, verb.name, Quoted(verb.help));
    const std::string after =
        fmt::format("complete -c {} -n '__fish_seen_subcommand_from {}'", spec.program, verb.name);
    if (!verb.words.empty()) text += fmt::format("{} -a '{}'\n", after, Join(verb.words));
    for (const std::string& flag : verb.flags) text += fmt::format("{} {}\n", after, FishFlag(flag));
    if (verb.takes_file) text += after + " -F\n";
  }
  return text;
}

}  // namespace

std::string CompletionScript(const std::string& shell, const CompletionSpec& spec) {
  if (shell == "bash") return Bash(spec);
  if (shell == "zsh") return Zsh(spec);
  if (shell == "fish") return Fish(spec);
  return {};
}

}  // namespace serin
