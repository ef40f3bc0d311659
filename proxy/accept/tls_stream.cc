#include "proxy/accept/tls_stream.h"

#include <openssl/err.h>

#include <algorithm>

namespace serin {

// A BIO that appends to the string of the call under way.
int WriteToSink(BIO* bio, const char* data, size_t size, size_t* written) {
  auto* stream = static_cast<TlsStream*>(BIO_get_data(bio));
  if (stream->sink_ == nullptr) return 0;
  stream->sink_->append(data, size);
  *written = size;
  return 1;
}

namespace {

// How often one Receive reads the socket. Who sends without a pause what is no
// data, such as key updates, must not keep the worker from its other connections.
constexpr int kReads = 4;

// Before a read of the socket: nothing may be read when none is left.
long LimitReads(BIO* bio, int operation, const char*, size_t, int, long, int result, size_t*) {
  if (operation != BIO_CB_READ) return result;
  int& left = *reinterpret_cast<int*>(BIO_get_callback_arg(bio));
  if (left-- > 0) return result;
  BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
  return -1;
}

long ControlSink(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

const BIO_METHOD* SinkMethod() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "serin sink");
    BIO_meth_set_write_ex(made, WriteToSink);
    BIO_meth_set_ctrl(made, ControlSink);
    return made;
  }();
  return method;
}

}  // namespace

std::unique_ptr<TlsStream> TlsStream::Make(std::shared_ptr<const TlsContext> context, int fd) {
  SSL* ssl = context->NewSession();
  if (ssl == nullptr) return nullptr;
  std::unique_ptr<TlsStream> stream(new TlsStream(std::move(context), ssl));
  BIO* sink = BIO_new(SinkMethod());
  BIO* source = BIO_new_socket(fd, BIO_NOCLOSE);
  if (sink == nullptr || source == nullptr) {
    BIO_free(sink);
    BIO_free(source);
    return nullptr;
  }
  BIO_set_data(sink, stream.get());
  BIO_set_init(sink, 1);
  BIO_set_callback_ex(source, LimitReads);
  BIO_set_callback_arg(source, reinterpret_cast<char*>(&stream->reads_left_));
  SSL_set_bio(ssl, source, sink);
  SSL_set_accept_state(ssl);
  return stream;
}

TlsStream::~TlsStream() { SSL_free(ssl_); }

TlsStream::Result TlsStream::Receive(std::span<char> out, size_t& received, std::string& reply) {
  ERR_clear_error();
  sink_ = &reply;
  reads_left_ = kReads;
  received = 0;
  const int ok = SSL_read_ex(ssl_, out.data(), out.size(), &received);
  const int error = ok == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_, ok);
  sink_ = nullptr;
  // SSL_has_pending(3) counts the beginning of a record, too: only after bytes
  // did come may there be more of them, or who waits for it would spin.
  pending_ = error == SSL_ERROR_NONE && SSL_has_pending(ssl_) != 0;
  switch (error) {
    case SSL_ERROR_NONE:
      return Result::kBytes;
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return Result::kNothing;
    case SSL_ERROR_ZERO_RETURN:
      return Result::kEnd;
    default:
      ERR_clear_error();
      return Result::kBroken;
  }
}

bool TlsStream::Encrypt(std::string_view bytes, std::string& out) {
  ERR_clear_error();
  sink_ = &out;
  bool ok = true;
  while (ok && !bytes.empty()) {
    size_t written = 0;
    ok = SSL_write_ex(ssl_, bytes.data(), bytes.size(), &written) == 1;
    bytes.remove_prefix(std::min(written, bytes.size()));
  }
  sink_ = nullptr;
  return ok;
}

void TlsStream::Close(std::string& out) {
  if (!established()) return;
  ERR_clear_error();
  sink_ = &out;
  SSL_shutdown(ssl_);
  sink_ = nullptr;
  ERR_clear_error();
}

std::string_view TlsStream::protocol() const {
  const unsigned char* name = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ssl_, &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

}  // namespace serin
