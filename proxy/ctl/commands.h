#pragma once
// What each verb of serinctl does: asks the daemon, prints, and gives the exit
// status. One thread.

#include <cstddef>
#include <string>
#include <string_view>

#include "proxy/base/types.h"
#include "proxy/ctl/client.h"
#include "proxy/ctl/render.h"

namespace serin {

// Exit statuses; part of the interface.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;    // refused, unreachable, or a bad file
inline constexpr int kExitUsage = 2;     // a command line that says nothing
inline constexpr int kExitReverted = 3;  // the rollout that was waited for was reverted

enum class Wait { kNo, kUntilTheEnd };

class Commands {
 public:
  Commands(const std::string& socket, bool json) : client_(socket), json_(json) {}

  int Status() const;
  // Until Ctrl-C: a page that is redrawn, or lines when it is no terminal.
  int Watch() const;
  int Explain() const;
  // The latest `limit` entries.
  int History(size_t limit) const;
  int Version(const std::string& own) const;
  // Closes a pool to new requests; returns when none is left, if so wanted.
  int Drain(PoolId pool, Wait wait) const;
  // POSTs and shows the new status in one line; `done` says what was done.
  int Change(const std::string& path, const std::string& body, const std::string& done, Wait wait) const;

 private:
  int Fail(const AdminClient::Answer& answer) const;
  // Follows events until `over` is true; survives a restart of the daemon.
  template <typename Over>
  int Follow(Over over) const;
  int WaitForTheEnd(const std::string& canary) const;
  int WaitUntilDrained(PoolId pool) const;

  AdminClient client_;
  bool json_;
};

}  // namespace serin
