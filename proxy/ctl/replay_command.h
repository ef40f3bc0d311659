#pragma once
// `serinctl replay`: runs a recording under its own limits or others. Needs no
// daemon. One thread.

#include <string>
#include <vector>

namespace serin {

// `settings` are "rollout.KEY=VALUE", as serin's --set takes them. Prints what
// would have been decided; gives the exit status.
int ReplayFile(const std::string& file, const std::vector<std::string>& settings, bool json);

}  // namespace serin
