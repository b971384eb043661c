// What a request of the resource API asks for: verb, kind, namespace, name, subresource, from method and path.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "apiserver/kinds.h"
#include "apiserver/status.h"
#include "http/message.h"

namespace causeway::apiserver {

enum class Verb { Get, List, Watch, Create, Update, Patch, Delete, DeleteCollection };

struct Call {
  Verb verb = Verb::Get;
  const Kind* kind = nullptr;
  std::string ns;    // empty: all namespaces, or a cluster kind
  std::string name;  // empty: the collection
  std::string subresource;
  http::Target target;

  Key key() const { return {ns, name}; }
  std::string_view option(std::string_view name) const { return target.get(name); }
};

// Errors: 404 for a path that no kind has, 405 for a method that it has not, 400 for a malformed option.
ApiResult<Call> parse_call(std::string_view method, http::Target target);

// Options of a query. Errors: 400 that names the option.
ApiResult<bool> bool_option(const http::Target& target, std::string_view name, bool fallback = false);
ApiResult<int64_t> int_option(const http::Target& target, std::string_view name, int64_t fallback = 0);

// The body's media type without parameters, lower case; empty when the request names none.
std::string media_type(const http::Request& request);

// The form of an answer that Accept asks for.
enum class Form { Object, Table, Partial };
struct Accepted {
  Form form = Form::Object;
  std::string version = "v1";  // of meta.k8s.io, for Table
};
// The first form of the header that we can give. Errors: 406 that lists them.
ApiResult<Accepted> negotiate(const http::Request& request);

}  // namespace causeway::apiserver
