#include "apiserver/watch_encoder.h"

#include <boost/json.hpp>

#include "apiserver/list.h"
#include "kube/api/codec.h"

namespace causeway::apiserver {

void WatchEncoder::append(std::string& out, const Event& event, WallTime now) {
  const Object& object = *event.object;
  const bool saw = event.previous && filter_.matches(*event.previous);
  const bool sees = !event.deleted && filter_.matches(object);
  if (sees) {
    append_line(out, saw ? "MODIFIED" : "ADDED", object, object.revision, now);
  } else if (saw) {
    // The state that the client knows, with the revision of the change that took it away.
    append_line(out, "DELETED", event.deleted ? object : *event.previous, object.revision, now);
  }
}

void WatchEncoder::append_added(std::string& out, const Object& object, WallTime now) {
  append_line(out, "ADDED", object, object.revision, now);
}

void WatchEncoder::append_line(std::string& out, std::string_view type, const Object& object, Revision revision,
                               WallTime now) {
  out.append("{\"type\":\"").append(type).append("\",\"object\":");
  if (accepted_.form == Form::Object && !kind_.to_view && revision == object.revision) {
    out.append(object.json);
  } else {
    Object shown = object;
    if (revision != object.revision) {
      auto tree = parse_object(object.json);
      set_at(*tree, "metadata.resourceVersion", json::value_from(std::to_string(revision)));
      shown.json = json::serialize(*tree);
    }
    switch (accepted_.form) {
      case Form::Object: out.append(shown_json(kind_, shown)); break;
      case Form::Partial: {
        auto partial = partial_object(shown_tree(kind_, shown));
        partial["apiVersion"] = "meta.k8s.io/" + accepted_.version;
        out.append(json::serialize(partial));
        break;
      }
      case Form::Table: {
        json::object table{{"kind", "Table"}, {"apiVersion", "meta.k8s.io/" + accepted_.version}};
        table["metadata"] = json::object{{"resourceVersion", std::to_string(revision)}};
        // kubectl takes the columns from the first table of a watch.
        table["columnDefinitions"] = columns_sent_ ? json::array{} : table_columns(kind_.table);
        columns_sent_ = true;
        table["rows"] = json::array{shown_row(kind_, shown, include_, now)};
        out.append(json::serialize(table));
        break;
      }
    }
  }
  out.append("}\n");
}

void WatchEncoder::append_bookmark(std::string& out, Revision revision, bool initial_end) {
  json::object metadata{{"resourceVersion", std::to_string(revision)}, {"creationTimestamp", nullptr}};
  if (initial_end) metadata["annotations"] = {{"k8s.io/initial-events-end", "true"}};
  json::object object;
  switch (accepted_.form) {
    case Form::Object: object = {{"kind", kind_.info.kind}, {"apiVersion", kube::api_version(kind_.info)}}; break;
    case Form::Partial:
      object = {{"kind", "PartialObjectMetadata"}, {"apiVersion", "meta.k8s.io/" + accepted_.version}};
      break;
    case Form::Table:
      object = {{"kind", "Table"}, {"apiVersion", "meta.k8s.io/" + accepted_.version}, {"rows", json::array{}}};
      object["columnDefinitions"] = columns_sent_ ? json::array{} : table_columns(kind_.table);
      columns_sent_ = true;
      break;
  }
  object["metadata"] = std::move(metadata);
  out.append("{\"type\":\"BOOKMARK\",\"object\":").append(json::serialize(object)).append("}\n");
}

void WatchEncoder::append_error(std::string& out, const Failure& failure) {
  out.append("{\"type\":\"ERROR\",\"object\":").append(kube::encode(failure.status)).append("}\n");
}

}  // namespace causeway::apiserver
