#pragma once
// The head of an HTTP/1 request: lines found by HeadScanner, fields split by
// llhttp, everything judged by the rules of this folder, the result stored in
// the Request. llhttp is known to head_parser.cc only. One connection's, one
// thread; between heads it holds 96 bytes of llhttp and nothing else.

#include <memory>
#include <string>
#include <string_view>

#include "proxy/message.h"
#include "proxy/parse/field_rules.h"
#include "proxy/parse/framing.h"
#include "proxy/parse/head_scanner.h"
#include "proxy/parse/refusal.h"
#include "proxy/session.h"

struct llhttp__internal_s;

namespace serin {

class HeadParser {
 public:
  HeadParser();
  ~HeadParser();
  HeadParser(const HeadParser&) = delete;
  HeadParser& operator=(const HeadParser&) = delete;

  // Begins a new head. `scratch`: a path is decoded there, during Parse only.
  void Start(Request& request, std::string& scratch);
  // Takes whole lines off the front of `in`; `consumed` says how much. What is
  // left must be in front of the next call's bytes. After a refusal only Start
  // may follow; the request then holds what had been understood.
  Refusal Parse(std::string_view in, const ClientLimits& limits, size_t& consumed);
  bool complete() const { return scanner_.complete(); }

  // Valid once complete.
  const Framing& framing() const { return framing_; }
  bool asks_to_continue() const { return continue_; }  // Expect: 100-continue, from an HTTP/1.1 client
  bool keep_alive() const;                             // what the client wants, by version and Connection
  bool asterisk() const { return asterisk_; }          // OPTIONS *

 private:
  friend struct LlhttpCallbacks;
  struct Release {
    void operator()(llhttp__internal_s* parser) const;
  };

  Refusal TakeRequestLine(std::string_view line);
  Refusal TakeTarget(std::string_view method, std::string_view target);
  Refusal TakeField(std::string_view name, std::string_view value);
  Refusal TakeHost(std::string_view value);
  Refusal TakeExpect(std::string_view value);
  Refusal FeedLlhttp(std::string_view lines);
  Refusal Finish(const ClientLimits& limits);

  std::unique_ptr<llhttp__internal_s, Release> parser_;
  Request* request_ = nullptr;
  std::string* scratch_ = nullptr;
  HeadScanner scanner_;
  Framing framing_;
  ConnectionOptions options_;
  Refusal field_refusal_ = Refusal::kNone;  // from within a callback
  bool host_seen_ = false;
  bool authority_in_target_ = false;
  bool asterisk_ = false;
  bool continue_ = false;
  bool late_value_ = false;  // llhttp will tell of an empty value that has been taken
  std::string_view name_;    // of the field whose value is to come, within one feed
};

}  // namespace serin
