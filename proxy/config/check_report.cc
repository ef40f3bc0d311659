#include "proxy/config/check_report.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "proxy/accept/tls_context.h"

namespace serin {

CheckReport ReportOf(const ConfigResult& result, const std::string& name) {
  if (!result.ok()) return {false, result.Text()};
  std::string text;
  if (!result.config->tls.certificates.empty()) {
    const auto loaded = TlsContext::Load(result.config->tls, std::make_shared<TicketKeys>(absl::Now()));
    if (!loaded.ok()) return {false, absl::StrCat(std::string(loaded.status().message()), "\n")};
    for (const CertificateInfo& info : (*loaded)->certificates()) {
      if (const std::string trouble = info.Trouble(absl::Now()); !trouble.empty()) {
        absl::StrAppend(&text, trouble, "\n");
      }
    }
  }
  return {true, absl::StrCat(text, name, ": ok\n")};
}

}  // namespace serin
