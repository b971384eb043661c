#include "apiserver/list.h"

#include <boost/json.hpp>
#include <charconv>

#include "apiserver/continue_token.h"

namespace causeway::apiserver {

namespace {

constexpr std::string_view kExpiredToken =
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the "
    "continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing "
    "with the provided token results in an inconsistent list - objects that were created, modified, or deleted between "
    "the "
    "time the first chunk was returned and now may show up in the list.";

// What a list is to show: which revision, from where.
struct Start {
  Revision revision = 0;
  bool past = false;  // a revision of the past: rebuilt from history
  Key from;           // inclusive
};

Refusal too_old(const Store& store, Revision asked) {
  return expired(fmt::format("The resourceVersion for the provided list is too old: {} ({} is the oldest that is kept)",
                             asked, store.compacted()));
}

ApiResult<Start> start_of_continue(const Store& store, const Call& call) {
  const std::string_view version = call.option("resourceVersion");
  if (!version.empty() && version != "0")
    return bad_request("specifying resource version is not allowed when using continue");
  if (!call.option("resourceVersionMatch").empty())
    return bad_request("resourceVersionMatch is not allowed when using continue");
  auto token = decode_token(call.option("continue"));
  if (!token) return bad_request(token.error().message());
  // The smallest key above the last one: names hold no NUL.
  Key from{token->after.ns, token->after.name + '\0'};
  if (token->revision == -1) return Start{store.revision(), false, std::move(from)};
  if (token->revision < store.compacted()) {
    return expired(std::string(kExpiredToken), encode_token({-1, token->after}));
  }
  if (token->revision > store.revision()) return bad_request("the continue token is not one of this server");
  return Start{token->revision, true, std::move(from)};
}

ApiResult<Start> start_of(const Store& store, const Call& call, int64_t limit) {
  if (!call.option("continue").empty()) return start_of_continue(store, call);
  const Revision asked = TRY(revision_option(call));
  const std::string_view match = call.option("resourceVersionMatch");
  if (!match.empty() && match != "Exact" && match != "NotOlderThan")
    return bad_request(fmt::format("resourceVersionMatch: \"{}\" is neither Exact nor NotOlderThan", match));
  if (!match.empty() && call.option("resourceVersion").empty())
    return bad_request("resourceVersionMatch is forbidden unless resourceVersion is provided");
  if (match == "Exact" && asked == 0)
    return bad_request("resourceVersionMatch \"Exact\" is forbidden for resourceVersion \"0\"");
  if (asked > store.revision()) return too_large_resource_version(asked, store.revision());
  // Kubernetes: with a limit and no match, a resourceVersion is an exact one.
  const bool exact = match == "Exact" || (match.empty() && asked != 0 && limit > 0);
  if (!exact) return Start{store.revision(), false, {}};
  if (asked < store.compacted()) return too_old(store, asked);
  return Start{asked, asked < store.revision(), {}};
}

json::object list_metadata(const Page& page) {
  json::object metadata{{"resourceVersion", std::to_string(page.revision)}};
  if (!page.continue_token.empty()) metadata["continue"] = page.continue_token;
  if (page.remaining) metadata["remainingItemCount"] = *page.remaining;
  return metadata;
}

std::string list_head(const Kind& kind, const Page& page) {
  return fmt::format(R"({{"kind":"{}List","apiVersion":"{}","metadata":{},)", kind.info.kind,
                     kube::api_version(kind.info), json::serialize(list_metadata(page)));
}

http::Response json_response(int status, std::string body) {
  return {.status = status, .headers = {{"Content-Type", "application/json"}}, .body = std::move(body)};
}

// Most of the cost of a big list is copying the stored bytes once.
std::string plain_list(const Kind& kind, const Page& page) {
  std::string body = list_head(kind, page);
  size_t size = body.size() + 16;
  for (const ObjectPtr& object : page.objects) size += object->json.size() + 1;
  body.reserve(size);
  body += "\"items\":[";
  for (size_t i = 0; i < page.objects.size(); ++i) {
    if (i > 0) body += ',';
    if (kind.to_view)
      body += shown_json(kind, *page.objects[i]);
    else
      body += page.objects[i]->json;
  }
  return body += "]}\n";
}

std::string table_list(const Kind& kind, const Page& page, const Accepted& accepted, IncludeObject include,
                       WallTime now) {
  json::object table{{"kind", "Table"}, {"apiVersion", "meta.k8s.io/" + accepted.version}};
  table["metadata"] = list_metadata(page);
  table["columnDefinitions"] = table_columns(kind.table);
  json::array rows;
  rows.reserve(page.objects.size());
  for (const ObjectPtr& object : page.objects) rows.push_back(shown_row(kind, *object, include, now));
  table["rows"] = std::move(rows);
  return json::serialize(table) + "\n";
}

std::string partial_list(const Kind& kind, const Page& page, const Accepted& accepted) {
  json::object list{{"kind", "PartialObjectMetadataList"}, {"apiVersion", "meta.k8s.io/" + accepted.version}};
  list["metadata"] = list_metadata(page);
  json::array items;
  for (const ObjectPtr& object : page.objects) items.push_back(partial_object(shown_tree(kind, *object)));
  list["items"] = std::move(items);
  return json::serialize(list) + "\n";
}

}  // namespace

ApiResult<Revision> revision_option(const Call& call) {
  const std::string_view text = call.option("resourceVersion");
  if (text.empty() || text == "0") return 0;
  Revision revision = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), revision);
  if (error != std::errc{} || end != text.data() + text.size() || revision < 0)
    return bad_request(fmt::format("resourceVersion: Invalid value: \"{}\": it is none of this server's", text));
  return revision;
}

ApiResult<Page> read_page(Store& store, const Call& call, const Filter& filter) {
  const int64_t limit = TRY(int_option(call.target, "limit"));
  if (TRY(bool_option(call.target, "sendInitialEvents")))
    return bad_request("sendInitialEvents is forbidden for list; it belongs to watch");
  const Start start = TRY(start_of(store, call, limit));
  Shelf& shelf = store.shelf(storage_of(*call.kind));

  Page page;
  page.revision = start.revision;
  int64_t beyond = 0;
  auto take = [&](const ObjectPtr& object) {
    if (!filter.matches(*object)) return;
    if (limit > 0 && static_cast<int64_t>(page.objects.size()) == limit)
      ++beyond;
    else
      page.objects.push_back(object);
  };
  // A namespace is one stretch of the order.
  const Key from = start.from.ns.empty() && !filter.ns().empty() ? Key{filter.ns(), ""} : start.from;
  if (start.past) {
    for (const ObjectPtr& object : shelf.at(start.revision, from)) take(object);
  } else {
    for (auto it = shelf.current().lower_bound(from); it != shelf.current().end(); ++it) {
      if (!filter.ns().empty() && it->first.ns != filter.ns()) break;
      take(it->second);
    }
  }
  if (beyond > 0) {
    page.continue_token = encode_token({page.revision, page.objects.back()->key});
    if (filter.is_plain()) page.remaining = beyond;
  }
  return page;
}

ApiResult<IncludeObject> include_option(const Call& call) {
  const std::string_view include = call.option("includeObject");
  if (include.empty() || include == "Metadata") return IncludeObject::Metadata;
  if (include == "Object") return IncludeObject::Object;
  if (include == "None") return IncludeObject::None;
  return bad_request(fmt::format("includeObject: \"{}\" is none of None, Metadata, Object", include));
}

json::object shown_tree(const Kind& kind, const Object& object) {
  auto tree = parse_object(object.json);  // what the store holds parses
  if (kind.to_view) kind.to_view(*tree);
  return std::move(*tree);
}

std::string shown_json(const Kind& kind, const Object& object) {
  return kind.to_view ? json::serialize(shown_tree(kind, object)) : object.json;
}

json::object shown_row(const Kind& kind, const Object& object, IncludeObject include, WallTime now) {
  auto tree = parse_object(object.json);
  if (!kind.to_view || include != IncludeObject::Object) return table_row(kind.table, std::move(*tree), include, now);
  // The columns are of the stored form.
  json::object row = table_row(kind.table, *tree, IncludeObject::None, now);
  kind.to_view(*tree);
  row["object"] = std::move(*tree);
  return row;
}

http::Response object_response(const Kind& kind, int status, const Object& object, const Accepted& accepted,
                               IncludeObject include, WallTime now) {
  switch (accepted.form) {
    case Form::Object: return json_response(status, shown_json(kind, object) + "\n");
    case Form::Partial: {
      auto partial = partial_object(shown_tree(kind, object));
      partial["apiVersion"] = "meta.k8s.io/" + accepted.version;
      return json_response(status, json::serialize(partial) + "\n");
    }
    case Form::Table: {
      Page page{.revision = object.revision, .objects = {std::make_shared<const Object>(object)}};
      return json_response(status, table_list(kind, page, accepted, include, now));
    }
  }
  std::abort();
}

ApiResult<http::Response> list_objects(Store& store, const Call& call, const Accepted& accepted, WallTime now) {
  const Filter filter = TRY(Filter::parse(call));
  const IncludeObject include = TRY(include_option(call));
  const Page page = TRY(read_page(store, call, filter));
  switch (accepted.form) {
    case Form::Object: return json_response(200, plain_list(*call.kind, page));
    case Form::Table: return json_response(200, table_list(*call.kind, page, accepted, include, now));
    case Form::Partial: return json_response(200, partial_list(*call.kind, page, accepted));
  }
  std::abort();
}

ApiResult<http::Response> get_object(Store& store, const Call& call, const Accepted& accepted, WallTime now) {
  const Revision asked = TRY(revision_option(call));
  if (asked > store.revision()) return too_large_resource_version(asked, store.revision());
  const IncludeObject include = TRY(include_option(call));
  const ObjectPtr object = store.shelf(storage_of(*call.kind)).find(call.key());
  if (!object) return not_found(call.kind->info, call.name);
  return object_response(*call.kind, 200, *object, accepted, include, now);
}

}  // namespace causeway::apiserver
