// The objects that clients send: read, checked against the schema, cleaned.
#pragma once

#include <string>
#include <vector>

#include "apiserver/json_tree.h"
#include "apiserver/request.h"
#include "http/message.h"
#include "kube/api/schema.h"

namespace causeway::apiserver {

// An object that was sent, and what to warn its sender of.
struct Body {
  json::object object;
  std::vector<std::string> warnings;
};

// Refuses everything but JSON, with a sentence for protobuf. Errors: 415.
ApiResult<void> require_json(const http::Request& request, std::string_view accepted_types = "application/json");

// The object of a POST or PUT: of this kind (what it does not say is filled in), without unknown fields and nulls.
// fieldValidation: Strict refuses unknown and duplicate fields, Warn (the default) warns, Ignore is silent.
// Errors: 415, 400.
ApiResult<Body> read_body(const http::Request& request, const http::Target& target, const kube::KindInfo& kind);

// The same for a tree that a patch made; `duplicates` are those of the patch itself.
ApiResult<Body> check_body(json::object object, std::vector<std::string> duplicates, const http::Target& target,
                           const kube::KindInfo& kind);

// The body of a DELETE; an absent one is empty.
struct DeleteOptions {
  std::optional<int64_t> grace_period_seconds;
  std::string uid;  // preconditions; empty: none
  std::string resource_version;
  std::string propagation_policy;  // empty, Background, Foreground, Orphan
  bool dry_run = false;
};
ApiResult<DeleteOptions> read_delete_options(const http::Request& request, const http::Target& target);

// dryRun=All. Errors: 400 for any other value.
ApiResult<bool> dry_run_option(const http::Target& target);

// The header that carries warnings (RFC 7234 section 5.5), none for none.
void add_warnings(http::Response& response, const std::vector<std::string>& warnings);

}  // namespace causeway::apiserver
