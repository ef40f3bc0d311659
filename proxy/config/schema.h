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
// Its part for [webhook]; schema_webhook.cc.
void WebhookKeys(std::vector<Key<Config>>& keys);
// Keys of one [[listen]] and one [[tls.certificates]], without prefix.
std::vector<Key<ListenerSettings>> ListenerKeys();
std::vector<Key<TlsSettings::Certificate>> CertificateKeys();

// What a listener can speak, by name; also the scheme in SERIN_LISTEN.
Words<ListenProtocol> ListenProtocols();

// May a configuration set this FastCGI param? "" if so, otherwise why not.
std::string WhyNotParam(std::string_view name);

}  // namespace serin
