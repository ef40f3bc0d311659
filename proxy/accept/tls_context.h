#pragma once
// What https listeners present: certificates by server name, protocol limits,
// session tickets. A TlsContext is an immutable snapshot, loaded on the main
// thread, shared by all workers, replaced whole on a reload; connections keep
// the one they began with. OpenSSL appears in tls_* only.

#include <openssl/ssl.h>

#include <array>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proxy/accept/tls_staple.h"
#include "proxy/settings.h"

namespace serin {

// Keys of session tickets (RFC 5077, RFC 8446 §4.6.1), in memory only. Rotated,
// because whoever has a ticket key can read the resumed sessions; the previous
// one still opens tickets, which are then renewed. Outlives reloads, so that a
// reload does not cost every client a full handshake. Any thread: one short
// lock per handshake, none per request.
class TicketKeys {
 public:
  struct Key {
    std::array<unsigned char, 16> name{};
    std::array<unsigned char, 32> cipher{};
    std::array<unsigned char, 32> mac{};
  };
  static constexpr absl::Duration kLifetime = absl::Hours(12);

  explicit TicketKeys(absl::Time now);
  // The key for new tickets; rotates when it is older than kLifetime.
  Key Current(absl::Time now);
  // The key of that name; `renew` when it is not the current one. False: unknown.
  bool Find(const unsigned char* name, Key& key, bool& renew);

 private:
  std::mutex mutex_;
  Key current_, previous_;     // guarded by mutex_
  bool has_previous_ = false;  // guarded by mutex_
  absl::Time made_;            // guarded by mutex_
};

// What a certificate is for and how long; for logs and metrics.
struct CertificateInfo {
  // Whoever renews certificates has done it by then: with a tenth of the
  // lifetime left, and two weeks of the long ones.
  static constexpr absl::Duration kRenewalTime = absl::Hours(24 * 14);

  std::string path;
  std::vector<std::string> names;
  absl::Time not_before, not_after;
  absl::Time ocsp_until;  // InfiniteFuture without a response to staple

  // Why a person should look, in a sentence; empty: no trouble.
  std::string Trouble(absl::Time now) const;
};

class TlsContext {
 public:
  // InvalidArgument says which file is wrong and how: unreadable, not PEM, a
  // key that does not fit, a response for another certificate. An expired certificate is no error (a restart
  // must not turn a warning in browsers into an outage): see certificates().
  static absl::StatusOr<std::shared_ptr<const TlsContext>> Load(const TlsSettings& settings,
                                                                std::shared_ptr<TicketKeys> tickets);

  // A session for one accepted connection; null when memory is short.
  SSL* NewSession() const { return SSL_new(contexts_.front().get()); }
  const std::vector<CertificateInfo>& certificates() const { return infos_; }

 private:
  struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };
  using Context = std::unique_ptr<SSL_CTX, Free>;

  absl::Status Add(const TlsSettings& settings, const TlsSettings::Certificate& files);
  static int OnServerName(SSL* ssl, int* alert, void* self);
  static int OnTicket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                      EVP_MAC_CTX* mac, int encrypt);
  SSL_CTX* ForName(std::string_view name) const;

  std::vector<std::unique_ptr<OcspStaple>> staples_;  // contexts point to theirs
  std::vector<Context> contexts_;                     // the first is the default
  std::vector<CertificateInfo> infos_;
  std::shared_ptr<TicketKeys> tickets_;
};

}  // namespace serin
