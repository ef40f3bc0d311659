#include "proxy/accept/tls_context.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace serin {
namespace {

// Mozilla's "intermediate" for TLS 1.2; TLS 1.3 has no weak suites.
constexpr char kCiphers[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
// Of TLS 1.3. OpenSSL's own order has AES-256 first, whose key schedule is hashed
// by SHA-384: no processor instruction helps there, as one does for SHA-256.
constexpr char kSuites[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr char kGroups[] = "X25519:P-256:P-384";
// In our order of preference; each with its length (RFC 7301 §3.1).
constexpr unsigned char kAlpn[] = {2, 'h', '2', 8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

std::string LastError() {
  char text[256];
  ERR_error_string_n(ERR_get_error(), text, sizeof text);
  ERR_clear_error();
  const char* reason = std::strrchr(text, ':');
  return reason == nullptr ? text : reason + 1;
}

absl::Status Wrong(const std::string& path, const std::string& what) {
  return absl::InvalidArgumentError((path + ": " + what).c_str());
}

int OnAlpn(SSL*, const unsigned char** out, unsigned char* size, const unsigned char* offered,
           unsigned int length, void*) {
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, size, kAlpn, sizeof kAlpn, offered, length) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;  // RFC 7301 §3.2: no_application_protocol
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

// Instead of a prompt on the terminal.
int HasNoPassphrase(char*, int, int, void*) { return -1; }

std::vector<std::string> NamesOf(X509* certificate) {
  std::vector<std::string> names;
  auto* alternatives =
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(alternatives); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(alternatives, i);
    if (name->type != GEN_DNS) continue;
    const unsigned char* text = ASN1_STRING_get0_data(name->d.dNSName);
    const auto size = static_cast<size_t>(ASN1_STRING_length(name->d.dNSName));
    names.push_back(absl::AsciiStrToLower(std::string(reinterpret_cast<const char*>(text), size)));
  }
  GENERAL_NAMES_free(alternatives);
  return names;
}

// "*.example.com" stands for one label (RFC 6125 §6.4.3).
bool Matches(std::string_view pattern, std::string_view name) {
  if (!pattern.starts_with("*.")) return pattern == name;
  const size_t dot = name.find('.');
  return dot != std::string_view::npos && dot > 0 && name.substr(dot) == pattern.substr(1);
}

}  // namespace

std::string CertificateInfo::Trouble(absl::Time now) const {
  const auto day = [](absl::Time time) {
    return absl::FormatTime("%F %H:%M UTC", time, absl::UTCTimeZone());
  };
  if (now > not_after) return absl::StrCat(path, " expired on ", day(not_after), ": browsers refuse it");
  if (now < not_before) {
    return absl::StrCat(path, " is not valid before ", day(not_before), ": browsers refuse it");
  }
  if (not_after - now < std::min(kRenewalTime, (not_after - not_before) / 10)) {
    return absl::StrCat(path, " expires on ", day(not_after));
  }
  if (now > ocsp_until) {
    return absl::StrCat("the OCSP response for ", path, " expired on ", day(ocsp_until), ": it is not sent");
  }
  return {};
}

TicketKeys::TicketKeys(absl::Time now) : made_(now) {
  RAND_bytes(reinterpret_cast<unsigned char*>(&current_), sizeof current_);
}

TicketKeys::Key TicketKeys::Current(absl::Time now) {
  std::lock_guard lock(mutex_);
  if (now - made_ > kLifetime) {
    previous_ = current_;
    has_previous_ = true;
    RAND_bytes(reinterpret_cast<unsigned char*>(&current_), sizeof current_);
    made_ = now;
  }
  return current_;
}

bool TicketKeys::Find(const unsigned char* name, Key& key, bool& renew) {
  std::lock_guard lock(mutex_);
  renew = std::memcmp(name, current_.name.data(), current_.name.size()) != 0;
  if (renew && (!has_previous_ || std::memcmp(name, previous_.name.data(), previous_.name.size()) != 0))
    return false;
  key = renew ? previous_ : current_;
  return true;
}

absl::StatusOr<std::shared_ptr<const TlsContext>> TlsContext::Load(const TlsSettings& settings,
                                                                   std::shared_ptr<TicketKeys> tickets) {
  auto context = std::make_shared<TlsContext>();
  context->tickets_ = std::move(tickets);
  for (const TlsSettings::Certificate& files : settings.certificates) {
    if (absl::Status status = context->Add(settings, files); !status.ok()) return status;
  }
  if (context->contexts_.empty()) return absl::InvalidArgumentError("no TLS certificate is configured");
  // The macro SSL_CTX_set_tlsext_servername_callback, without its old-style cast.
  SSL_CTX_callback_ctrl(context->contexts_.front().get(), SSL_CTRL_SET_TLSEXT_SERVERNAME_CB,
                        reinterpret_cast<void (*)()>(OnServerName));
  SSL_CTX_set_tlsext_servername_arg(context->contexts_.front().get(), context.get());
  return std::shared_ptr<const TlsContext>(std::move(context));
}

absl::Status TlsContext::Add(const TlsSettings& settings, const TlsSettings::Certificate& files) {
  ERR_clear_error();
  Context made(SSL_CTX_new(TLS_server_method()));
  SSL_CTX* ctx = made.get();
  if (ctx == nullptr) return absl::ResourceExhaustedError("no memory for a TLS context");
  SSL_CTX_set_min_proto_version(
      ctx, settings.min_version == TlsSettings::Version::k13 ? TLS1_3_VERSION : TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(ctx, kCiphers);
  SSL_CTX_set_ciphersuites(ctx, kSuites);
  SSL_CTX_set1_groups_list(ctx, kGroups);
  SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  // Our order counts, but for clients that say by theirs that they have no AES in hardware.
  SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  // Buffers are given back between records: an idle connection holds none.
  SSL_CTX_set_mode(
      ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(ctx, 1);                           // a record in one read instead of two
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);  // tickets: no state, no lock between workers
  SSL_CTX_set_num_tickets(ctx, 1);
  SSL_CTX_set_session_id_context(ctx, reinterpret_cast<const unsigned char*>("serin"), 5);
  SSL_CTX_set_alpn_select_cb(ctx, OnAlpn, nullptr);
  SSL_CTX_set_app_data(ctx, tickets_.get());
  SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, OnTicket);
  if (SSL_CTX_use_certificate_chain_file(ctx, files.certificate.c_str()) != 1) {
    return Wrong(files.certificate, "no usable certificate: " + LastError());
  }
  SSL_CTX_set_default_passwd_cb(ctx, HasNoPassphrase);
  const bool loaded = SSL_CTX_use_PrivateKey_file(ctx, files.key.c_str(), SSL_FILETYPE_PEM) == 1;
  if (!loaded && ERR_GET_REASON(ERR_peek_error()) != X509_R_KEY_VALUES_MISMATCH) {
    return Wrong(files.key, "no usable private key for " + files.certificate + ": " + LastError());
  }
  if (!loaded || SSL_CTX_check_private_key(ctx) != 1) {
    return Wrong(files.key, "this key does not belong to " + files.certificate);
  }
  X509* leaf = SSL_CTX_get0_certificate(ctx);
  infos_.push_back({files.certificate, NamesOf(leaf), ToAbslTime(X509_get0_notBefore(leaf)),
                    ToAbslTime(X509_get0_notAfter(leaf)), absl::InfiniteFuture()});
  if (!files.ocsp_response.empty()) {
    absl::StatusOr<OcspStaple> staple = OcspStaple::Load(files.ocsp_response, leaf);
    if (!staple.ok()) return staple.status();
    infos_.back().ocsp_until = staple->next_update();
    staples_.push_back(std::make_unique<OcspStaple>(*std::move(staple)));
    staples_.back()->AttachTo(ctx);
  }
  contexts_.push_back(std::move(made));
  return absl::OkStatus();
}

SSL_CTX* TlsContext::ForName(std::string_view name) const {
  for (size_t i = 0; i < infos_.size(); ++i) {
    for (const std::string& pattern : infos_[i].names) {
      if (Matches(pattern, name)) return contexts_[i].get();
    }
  }
  return contexts_.front().get();
}

int TlsContext::OnServerName(SSL* ssl, int*, void* self) {
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name == nullptr) return SSL_TLSEXT_ERR_NOACK;
  SSL_set_SSL_CTX(ssl, static_cast<const TlsContext*>(self)->ForName(absl::AsciiStrToLower(name)));
  return SSL_TLSEXT_ERR_OK;
}

// 1: use it; 2: use it and send a fresh ticket; 0: no ticket; -1: failure.
// SSL_CTX_set_tlsext_ticket_key_evp_cb(3).
int TlsContext::OnTicket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                         EVP_MAC_CTX* mac, int encrypt) {
  auto* keys = static_cast<TicketKeys*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  TicketKeys::Key key;
  bool renew = false;
  if (encrypt != 0) {
    key = keys->Current(absl::Now());
    std::memcpy(name, key.name.data(), key.name.size());
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1) return -1;
  } else if (!keys->Find(name, key, renew)) {
    return 0;
  }
  char digest[] = "SHA256";
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac.data(), key.mac.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end()};
  if (EVP_MAC_CTX_set_params(mac, params) != 1) return -1;
  if (EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key.cipher.data(), iv, encrypt) != 1) return -1;
  // Browsers and OpenSSL use a ticket of TLS 1.3 once (RFC 8446 §C.4): each resumption brings the next.
  return renew || SSL_version(ssl) >= TLS1_3_VERSION ? 2 : 1;
}

}  // namespace serin
