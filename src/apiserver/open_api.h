// OpenAPI v3 of what is served: an index, and one document for each group and version. kubectl needs it to create,
// apply and explain; it is made from the table of kinds and the schema, once.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "http/message.h"

namespace causeway::apiserver {

class OpenApi {
 public:
  // /openapi/v3 and what its index names; nothing for any other path.
  std::optional<http::Response> serve(const http::Request& request, const http::Target& target);

 private:
  struct Document {
    std::string text;
    std::string hash;
  };
  // By path below /openapi/v3/: "api/v1", "apis/apps/v1".
  const std::map<std::string, Document>& documents();

  std::map<std::string, Document> documents_;
};

}  // namespace causeway::apiserver
