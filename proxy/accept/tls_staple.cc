#include "proxy/accept/tls_staple.h"

#include <openssl/ocsp.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <utility>

namespace serin {
namespace {

template <auto free>
struct FreeBy {
  template <typename T>
  void operator()(T* object) const {
    free(object);
  }
};
using Response = std::unique_ptr<OCSP_RESPONSE, FreeBy<OCSP_RESPONSE_free>>;
using BasicResponse = std::unique_ptr<OCSP_BASICRESP, FreeBy<OCSP_BASICRESP_free>>;

// The part of the response that is about `leaf`, by its serial number; null if none is.
OCSP_SINGLERESP* FindSingle(OCSP_BASICRESP* basic, X509* leaf) {
  for (int i = 0; i < OCSP_resp_count(basic); ++i) {
    OCSP_SINGLERESP* single = OCSP_resp_get0(basic, i);
    ASN1_INTEGER* serial = nullptr;
    auto* id = const_cast<OCSP_CERTID*>(OCSP_SINGLERESP_get0_id(single));
    OCSP_id_get0_info(nullptr, nullptr, nullptr, &serial, id);
    if (ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(leaf)) == 0) return single;
  }
  return nullptr;
}

absl::Status Wrong(const std::string& path, const char* what) {
  return absl::InvalidArgumentError(path + ": " + what);
}

}  // namespace

absl::Time ToAbslTime(const ASN1_TIME* time) {
  tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return absl::InfiniteFuture();
  return absl::FromTM(parts, absl::UTCTimeZone());
}

absl::StatusOr<OcspStaple> OcspStaple::Load(const std::string& path, X509* leaf) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Wrong(path, "cannot be read");
  OcspStaple staple;
  staple.response_.assign(std::istreambuf_iterator<char>(file), {});
  const auto* at = reinterpret_cast<const unsigned char*>(staple.response_.data());
  const Response response(d2i_OCSP_RESPONSE(nullptr, &at, static_cast<long>(staple.response_.size())));
  if (response == nullptr || OCSP_response_status(response.get()) != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
    return Wrong(path, "no successful OCSP response in DER");
  }
  const BasicResponse basic(OCSP_response_get1_basic(response.get()));
  OCSP_SINGLERESP* single = basic == nullptr ? nullptr : FindSingle(basic.get(), leaf);
  if (single == nullptr) return Wrong(path, "this OCSP response is for another certificate");
  ASN1_GENERALIZEDTIME* next_update = nullptr;
  OCSP_single_get0_status(single, nullptr, nullptr, nullptr, &next_update);
  staple.next_update_ = ToAbslTime(next_update);
  return staple;
}

void OcspStaple::AttachTo(SSL_CTX* context) const {
  // The macros SSL_CTX_set_tlsext_status_cb and _arg, without their old-style casts.
  SSL_CTX_callback_ctrl(context, SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB,
                        reinterpret_cast<void (*)()>(OnStatusRequest));
  SSL_CTX_ctrl(context, SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB_ARG, 0, const_cast<OcspStaple*>(this));
}

// An outdated response would be refused where none is only not proven.
int OcspStaple::OnStatusRequest(SSL* ssl, void* self) {
  const auto& staple = *static_cast<const OcspStaple*>(self);
  if (staple.next_update_ < absl::Now()) return SSL_TLSEXT_ERR_NOACK;
  void* copy = OPENSSL_memdup(staple.response_.data(), staple.response_.size());
  if (copy == nullptr) return SSL_TLSEXT_ERR_NOACK;
  SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_STATUS_REQ_OCSP_RESP, static_cast<long>(staple.response_.size()), copy);
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace serin
