#pragma once
// A certificate authority's word that a certificate is not revoked, sent along
// in the handshake so that browsers need not ask for it (OCSP stapling, RFC 6066
// §8). Whoever renews the certificates fetches it, into a file; Serin only
// reads that. Loaded on the main thread, then immutable.

#include <openssl/ssl.h>

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace serin {

class OcspStaple {
 public:
  // `path` has one response in DER. InvalidArgument says what is wrong with it:
  // unreadable, no successful response, or one for another certificate than
  // `leaf`. One that is out of date is no error: it is not sent.
  static absl::StatusOr<OcspStaple> Load(const std::string& path, X509* leaf);

  // Until when clients accept it.
  absl::Time next_update() const { return next_update_; }
  // Sent to the clients of `context` that ask; must outlive it.
  void AttachTo(SSL_CTX* context) const;

 private:
  static int OnStatusRequest(SSL* ssl, void* self);

  std::string response_;
  absl::Time next_update_ = absl::InfiniteFuture();
};

// Of X509 and OCSP; InfiniteFuture for what is no time.
absl::Time ToAbslTime(const ASN1_TIME* time);

}  // namespace serin
