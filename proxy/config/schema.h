#pragma once
// The list of all keys. Built once per reading, on the thread that reads.

#include <vector>

#include "proxy/config/config.h"
#include "proxy/config/key.h"

namespace serin {

// Keys of the whole, dotted: "server.workers", "pools.blue.root".
std::vector<Key<Config>> ConfigKeys();
// Its part for [rollout]; schema_rollout.cc.
void RolloutKeys(std::vector<Key<Config>>& keys);
// Its part for [split] and [rescue]; schema_split.cc.
void SplitKeys(std::vector<Key<Config>>& keys);
// Its part for [webhook]; schema_webhook.cc.
void WebhookKeys(std::vector<Key<Config>>& keys);
// Keys of one [[listen]], [[tls.certificates]] or [[split.pin]], without prefix.
std::vector<Key<ListenerSettings>> ListenerKeys();
std::vector<Key<TlsSettings::Certificate>> CertificateKeys();
std::vector<Key<PinRule>> PinKeys();

constexpr bool IsAlnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
// RFC 9110 §5.6.2: names of fields, cookies and methods.
bool IsToken(std::string_view text);
inline bool IsTokenOrNone(std::string_view text) { return text.empty() || IsToken(text); }
// What AddressSet takes; nullopt, and complains, when it is no list.
std::optional<std::vector<std::string>> ReadNetworks(const Value& value, Complaints& complaints);

// What a listener can speak, by name; also the scheme in SERIN_LISTEN.
Words<ListenProtocol> ListenProtocols();

// May a configuration set this FastCGI param? "" if so, otherwise why not.
std::string WhyNotParam(std::string_view name);

}  // namespace serin
