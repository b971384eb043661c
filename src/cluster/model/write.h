// How the model's maps and indexes are written. Only for the files of this folder.
#pragma once

#include "cluster/model/model.h"

namespace causeway::cluster {

// Writes one object (nullopt deletes it) and remembers its first old value. False if nothing changed.
template <class Key, class Value>
bool write(std::map<Key, Value>& objects, Before<Key, Value>& before, const Key& key, std::optional<Value> value) {
  auto it = objects.find(key);
  std::optional<Value> old = it == objects.end() ? std::nullopt : std::optional(it->second);
  if (old == value) return false;
  if (auto seen = before.find(key); seen == before.end())
    before.emplace(key, old);
  else if (seen->second == value)
    before.erase(seen);
  if (value)
    objects.insert_or_assign(key, std::move(*value));
  else
    objects.erase(it);
  return true;
}

template <class Map, class Key>
auto* find(const Map& map, const Key& key) {
  auto it = map.find(key);
  return it == map.end() ? nullptr : &it->second;
}

template <class Index, class Key>
auto owners(const Index& index, const Key& key) {
  auto it = index.find(key);
  return it == index.end() ? typename Index::mapped_type{} : it->second;
}

template <class Index, class Key, class Owner>
void update(Index& index, const Key& key, const Owner& owner, bool add) {
  if (add) {
    index[key].insert(owner);
  } else if (auto it = index.find(key); it != index.end()) {
    it->second.erase(owner);
    if (it->second.empty()) index.erase(it);
  }
}

template <class Map>
void merge_before(Map& into, const Map& later) {
  for (const auto& [key, before] : later) into.try_emplace(key, before);
}

// The same for objects that the model shares.
template <class Key, class Value>
std::shared_ptr<const Value> shared_at(const std::map<Key, std::shared_ptr<const Value>>& objects, const Key& key) {
  auto it = objects.find(key);
  return it == objects.end() ? nullptr : it->second;
}
template <class Key, class Value>
void set_shared(std::map<Key, std::shared_ptr<const Value>>& objects, const Key& key,
                std::shared_ptr<const Value> value) {
  if (value)
    objects.insert_or_assign(key, std::move(value));
  else
    objects.erase(key);
}
template <class Value>
auto shared_at(const SharedObjects<Value>& objects, const typename SharedObjects<Value>::key_type& key) {
  return objects.get(key);
}
template <class Value>
void set_shared(SharedObjects<Value>& objects, const typename SharedObjects<Value>::key_type& key,
                std::shared_ptr<const Value> value) {
  objects.set(key, std::move(value));
}

template <class Objects, class Key, class Value>
bool write_shared(Objects& objects, SharedBefore<Key, Value>& before, const Key& key,
                  std::shared_ptr<const Value> value) {
  const std::shared_ptr<const Value> old = shared_at(objects, key);
  const auto same = [](const Value* a, const Value* b) { return a == b || (a && b && *a == *b); };
  if (same(old.get(), value.get())) return false;
  if (auto seen = before.find(key); seen == before.end())
    before.emplace(key, old);
  else if (same(seen->second.get(), value.get()))
    before.erase(seen);
  set_shared(objects, key, std::move(value));
  return true;
}

}  // namespace causeway::cluster
