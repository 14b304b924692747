#include "kubernetes/joins.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "kubernetes/mirror.h"
#include "model/burst_node.h"

namespace spillway::kubernetes {
namespace {

store::ObjectKey RecordKey(const std::string& node) {
  return {"Join", "", node};
}

bool IsServing(const json::value& csr) {
  const json::value* spec = Find(csr, "spec");
  return spec != nullptr && StringOr(*spec, "signerName", "") == kServingSigner;
}

std::vector<std::string> AddressesOf(const store::Store& store, const std::string& node) {
  std::vector<std::string> found;
  const store::ObjectPtr object = store.Get({"Node", "", node});
  if (object == nullptr) return found;
  const json::value* status = Find(object->body, "status");
  const json::array* addresses = status == nullptr ? nullptr : FindArray(*status, "addresses");
  if (addresses == nullptr) return found;
  for (const json::value& address : *addresses)
    if (StringOr(address, "type", "").ends_with("IP"))
      found.emplace_back(StringOr(address, "address", ""));
  return found;
}

// The site's node, or rented one, that has this address; empty: none but `node`.
std::string OwnerOf(const store::Store& store, const std::string& address,
                    const std::string& node) {
  for (const store::ObjectPtr& other : store.List("Node")) {
    if (other->key.name == node) continue;
    const std::vector<std::string> addresses = AddressesOf(store, other->key.name);
    if (std::ranges::find(addresses, address) != addresses.end()) return other->key.name;
  }
  return "";
}

}  // namespace

Joins::Joins(store::Store& store, Api& api, Worker& worker, const Clock& clock, Tell tell)
    : store_(store), api_(api), worker_(worker), clock_(clock), tell_(std::move(tell)) {}

Joins::Record Joins::Read(const std::string& node) const {
  const store::ObjectPtr object = store_.Get(RecordKey(node));
  if (object == nullptr) return {};
  const auto text = [&](const char* key) { return std::string(StringOr(object->body, key, "")); };
  return {text("tokenId"), text("client"), text("serving"), text("clientName"),
          text("servingName")};
}

Status Joins::Write(const std::string& node, const Record& record) {
  const auto written = store_.Apply({{RecordKey(node),
                                      json::object{{"tokenId", record.token_id},
                                                   {"client", record.client_uid},
                                                   {"serving", record.serving_uid},
                                                   {"clientName", record.client_name},
                                                   {"servingName", record.serving_name}},
                                      std::nullopt}});
  return written ? Ok() : Status(tl::unexpected(written.error()));
}

Status Joins::DeleteToken(const std::string& id) {
  if (id.empty()) return Ok();
  const Status gone =
      api_.Delete(kSecrets, std::string(kTokenNamespace), TokenSecretName(id), "", -1);
  return !gone && gone.error().code == Code::kNotFound ? Ok() : gone;
}

Result<std::string> Joins::NewToken(const std::string& node, Duration life) {
  const std::lock_guard lock(mutex_);
  Record record = Read(node);
  if (!record.client_uid.empty())
    return Fail(Code::kConflict, fmt::format("{} has its certificate already", node));
  SPW_TRY(DeleteToken(record.token_id));
  const BootstrapToken token = NewBootstrapToken();
  record.token_id = token.id;
  // Known before it is valid, so that a crash leaves no token that nobody deletes.
  SPW_TRY(Write(node, record));
  const auto made = api_.Create(kSecrets, std::string(kTokenNamespace),
                                TokenSecret(token, node, SystemClock().Now() + life));
  if (!made) return Fail(made.error());
  return token.Text();
}

Status Joins::Judge(const json::value& csr, const std::string& node, Record& record) {
  const store::ObjectPtr object = store_.Get({"BurstNode", "", node});
  const json::value* status = object == nullptr ? nullptr : Find(object->body, "status");
  const auto phase = PhaseFrom(status == nullptr ? "" : StringOr(*status, "phase", ""));
  if (!phase || *phase >= Phase::kReturning)
    return Fail(Code::kDenied, "the BurstNode is leaving, or is gone");
  const std::string uid = MetadataText(csr, "uid");
  const bool serving = IsServing(csr);
  std::string& granted = serving ? record.serving_uid : record.client_uid;
  if (!granted.empty() && granted != uid)
    return Fail(Code::kDenied, "it has its certificate already, and gets no second one");
  if (serving) {
    const std::vector<std::string> addresses = AddressesOf(store_, node);
    const json::value* user = FindPath(csr, {"spec", "username"});
    const bool own = user != nullptr && user->is_string() &&
                     View(user->get_string()) == fmt::format("system:node:{}", node);
    if (addresses.empty() && own) {
      // The watches of requests and of nodes do not know of each other.
      waiting_[node] = csr;
      return Fail(Code::kUnavailable, "the node's addresses are not known yet");
    }
    SPW_TRY(CheckServingRequest(csr, node, addresses));
    // A kubelet writes its own addresses, so it could name another machine's.
    for (const std::string& address : addresses)
      if (const std::string other = OwnerOf(store_, address, node); !other.empty())
        return Fail(Code::kDenied, fmt::format("{} is the address of {}", address, other));
  } else {
    if (record.token_id.empty()) return Fail(Code::kDenied, "its token was used or is over");
    SPW_TRY(CheckClientRequest(csr, node, record.token_id));
  }
  granted = uid;
  (serving ? record.serving_name : record.client_name) = MetadataText(csr, "name");
  // Stored before it is granted: a crash in between grants the same request again and no other.
  return Write(node, record);
}

void Joins::Consider(const json::value& csr) {
  if (!Undecided(csr)) return;
  const std::string node = NodeOfRequest(csr);
  if (node.empty()) return;
  const std::lock_guard lock(mutex_);
  // A BurstNode's token may ask for a foreign name: that is ours to refuse as well.
  const bool ours = store_.Get({"BurstNode", "", node}) != nullptr;
  std::string owner = ours ? node : "";
  const json::value* spec = Find(csr, "spec");
  const std::string_view user = spec == nullptr ? "" : StringOr(*spec, "username", "");
  for (const store::ObjectPtr& record : store_.List("Join")) {
    const std::string_view id = StringOr(record->body, "tokenId", "");
    if (!id.empty() && user == TokenUser(id)) owner = record->key.name;
  }
  if (owner.empty()) return;
  Record record = Read(owner);
  const Status verdict =
      owner != node ? Status(tl::unexpected(Error{
                          Code::kDenied, fmt::format("the token of {} asks for {}", owner, node),
                          std::nullopt}))
                    : Judge(csr, node, record);
  if (!verdict && verdict.error().code == Code::kUnavailable && waiting_.contains(node)) return;
  // Without a place to note it, nothing is granted; the request is looked at again.
  if (!verdict && verdict.error().code != Code::kDenied) {
    log::Error("a certificate request waits",
               {{"node", owner}, {"error", verdict.error().message}});
    worker_.Do("Reconsider/" + MetadataText(csr, "name"),
               [this, csr, again = false]() mutable -> Status {
                 if (!again) {
                   again = true;
                   return Fail(Code::kUnavailable, "it waits a little");
                 }
                 Consider(csr);
                 return Ok();
               });
    return;
  }
  Answer(csr, owner, verdict);
}

void Joins::NodeChanged(const std::string& node) {
  json::value csr;
  {
    const std::lock_guard lock(mutex_);
    const auto it = waiting_.find(node);
    if (it == waiting_.end() || AddressesOf(store_, node).empty()) return;
    csr = std::move(it->second);
    waiting_.erase(it);
  }
  Consider(csr);
}

void Joins::Answer(const json::value& csr, const std::string& node, const Status& verdict) {
  const bool serving = IsServing(csr);
  const std::string what = serving ? "serving certificate" : "client certificate";
  const std::string why =
      verdict ? fmt::format("the one {} of BurstNode {}", what, node) : verdict.error().message;
  if (!verdict) tell_(node, true, "JoinRefused", fmt::format("a {} was refused: {}", what, why));
  json::value decided = Decided(csr, verdict.has_value(),
                                verdict ? "SpillwayJoin" : "SpillwayRefuses", why, clock_.Now());
  worker_.Do("CertificateSigningRequest/" + MetadataText(csr, "name"),
             [this, decided = std::move(decided), name = MetadataText(csr, "name"), node, serving,
              approved = verdict.has_value()]() -> Status {
               const auto done = api_.Replace(kRequests, "", name, "approval", decided);
               if (!done && done.error().code == Code::kNotFound) return Ok();
               // Somebody else changed it, or a lost answer was an answer: the watch brings it
               // again if it is still undecided.
               if (!done && done.error().code != Code::kConflict)
                 return tl::unexpected(done.error());
               if (!approved || serving) return Ok();
               const std::lock_guard lock(mutex_);
               Record record = Read(node);
               SPW_TRY(DeleteToken(record.token_id));
               record.token_id.clear();
               return Write(node, record);
             });
}

Status Joins::Forget(const std::string& node) {
  const std::lock_guard lock(mutex_);
  const Record record = Read(node);
  waiting_.erase(node);
  SPW_TRY(DeleteToken(record.token_id));
  if (store_.Get(RecordKey(node)) == nullptr) return Ok();
  // What was refused stays, as evidence, until the cluster removes it.
  for (const auto& [name, uid] : {std::pair(record.client_name, record.client_uid),
                                  std::pair(record.serving_name, record.serving_uid)}) {
    if (name.empty()) continue;
    const Status gone = api_.Delete(kRequests, "", name, uid, -1);
    if (!gone && gone.error().code != Code::kNotFound && gone.error().code != Code::kConflict)
      return gone;
  }
  const auto removed = store_.Apply({{RecordKey(node), {}, std::nullopt, true}});
  return removed ? Ok() : Status(tl::unexpected(removed.error()));
}

}  // namespace spillway::kubernetes
