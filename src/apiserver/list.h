// Reading: one object, or the objects of a collection at one revision, page by page.
#pragma once

#include <string>
#include <vector>

#include "apiserver/filter.h"
#include "apiserver/request.h"
#include "apiserver/store.h"

namespace causeway::apiserver {

// A page: what was asked for, as it was at `revision`.
struct Page {
  Revision revision = 0;
  std::vector<ObjectPtr> objects;
  std::string continue_token;        // empty: nothing follows
  std::optional<int64_t> remaining;  // how many follow, known without selectors
};

// Options limit, continue, resourceVersion, resourceVersionMatch. Errors: 400, 410 (history does not reach back so far;
// for a continue token with a token to go on with), 504 (a revision of the future).
ApiResult<Page> read_page(Store& store, const Call& call, const Filter& filter);

// The whole answers.
ApiResult<http::Response> list_objects(Store& store, const Call& call, const Accepted& accepted, WallTime now);
ApiResult<http::Response> get_object(Store& store, const Call& call, const Accepted& accepted, WallTime now);

// An object as an answer, in the form that was asked for.
http::Response object_response(const Kind& kind, int status, const Object& object, const Accepted& accepted,
                               IncludeObject include, WallTime now);
ApiResult<IncludeObject> include_option(const Call& call);

// The JSON of an object as this kind shows it: the stored bytes, or their second view.
std::string shown_json(const Kind& kind, const Object& object);
json::object shown_tree(const Kind& kind, const Object& object);
// The row of a table.
json::object shown_row(const Kind& kind, const Object& object, IncludeObject include, WallTime now);

// The option resourceVersion: 0 when absent or "0". Errors: 400.
ApiResult<Revision> revision_option(const Call& call);

}  // namespace causeway::apiserver
