// The containers for tables of many rows, beside what the standard library's do with the same random changes.
#include <doctest/doctest.h>

#include <map>
#include <random>
#include <set>

#include "base/compact_vector.h"
#include "base/stable_map.h"

using namespace causeway;

TEST_CASE("a compact vector holds what a vector holds, and takes no room when it is empty") {
  static_assert(sizeof(CompactVector<std::string>) == 8);
  std::mt19937 random(7);
  CompactVector<std::string> compact;
  std::vector<std::string> plain;
  CHECK(compact == plain);
  CHECK(compact.begin() == compact.end());
  for (int step = 0; step < 3000; ++step) {
    const std::string text = "a text that is longer than what fits into a string " + std::to_string(step);
    const size_t at = plain.empty() ? 0 : random() % plain.size();
    switch (random() % 8) {
      case 0:
      case 1: compact.push_back(text), plain.push_back(text); break;
      case 2: compact.insert(compact.begin() + at, text), plain.insert(plain.begin() + at, text); break;
      case 3:
        if (plain.empty()) break;
        CHECK(*compact.insert(compact.begin() + at, compact.back()) == plain.back());
        plain.insert(plain.begin() + at, std::string(plain.back()));
        break;
      case 4:
      case 5:
        if (!plain.empty()) compact.erase(compact.begin() + at), plain.erase(plain.begin() + at);
        break;
      case 6: compact.shrink_to_fit(); break;
      case 7: {
        CompactVector<std::string> copy(compact);
        compact = std::move(copy);
        if (step % 50 == 0) compact.clear(), plain.clear();
        break;
      }
    }
    REQUIRE(compact == plain);
  }
  CHECK(CompactVector<int>{3, 1, 2}[1] == 1);
}

TEST_CASE("a stable map holds what a map holds, in order, and its entries stay where they are") {
  std::mt19937 random(8);
  StableMap<int, std::string> stable;
  std::map<int, std::string> plain;
  std::map<int, const std::pair<const int, std::string>*> places;
  for (int step = 0; step < 40000; ++step) {
    // Grows to some thousands, shrinks to almost nothing, and again.
    const bool grows = step / 10000 % 2 == 0;
    const int key = static_cast<int>(random() % 5000);
    if (random() % 10 < (grows ? 8u : 2u)) {
      const auto [at, fresh] = stable.try_emplace(key, std::to_string(step));
      CHECK(fresh == plain.try_emplace(key, std::to_string(step)).second);
      if (fresh) places[key] = &*at;
      REQUIRE(places.at(key) == &*at);
    } else {
      REQUIRE(stable.erase(key) == plain.erase(key));
      places.erase(key);
    }
    REQUIRE(stable.size() == plain.size());
    const auto next = plain.lower_bound(key);
    const auto same = stable.lower_bound(key);
    REQUIRE((next == plain.end()) == (same == stable.end()));
    if (next != plain.end()) REQUIRE(next->first == same->first);
    if (step % 500 == 0) {
      REQUIRE(std::ranges::equal(stable, plain));
      for (const auto& [known, place] : places) REQUIRE(&*stable.find(known) == place);
    }
  }
  for (auto at = stable.begin(); at != stable.end();) at = at->first % 2 ? stable.erase(at) : std::next(at);
  std::erase_if(plain, [](const auto& entry) { return entry.first % 2; });
  CHECK(std::ranges::equal(stable, plain));
}

namespace {
struct ByTens {
  bool operator()(const std::pair<int, int>& a, const std::pair<int, int>& b) const { return a < b; }
  bool operator()(const std::pair<int, int>& a, int tens) const { return a.first < tens; }
};
}  // namespace

TEST_CASE("a part of an element finds the first that has it, however many there are") {
  SortedChunks<std::pair<int, int>, ByTens> chunks;
  std::set<std::pair<int, int>> plain;
  std::mt19937 random(9);
  for (int i = 0; i < 3000; ++i) {
    const std::pair<int, int> item(random() % 5, random() % 700);
    CHECK(chunks.insert(item).second == plain.insert(item).second);
  }
  for (int tens = 0; tens < 5; ++tens) CHECK(*chunks.lower_bound(tens) == *plain.lower_bound({tens, 0}));
  CHECK(chunks.lower_bound(5) == chunks.end());
  chunks.erase_if([](const auto& item) { return item.second % 3; });
  std::erase_if(plain, [](const auto& item) { return item.second % 3; });
  CHECK(std::ranges::equal(chunks, plain));
  CHECK(chunks.size() == plain.size());
}

TEST_CASE("what is appended in its order is found, and may be mixed with what is inserted") {
  SortedChunks<int, std::less<>> chunks;
  std::set<int> plain;
  std::mt19937 random(3);
  for (int i = 0; i < 2000; ++i) {
    const int last = chunks.empty() ? 0 : chunks.back();
    if (random() % 3) {
      chunks.append(last + 1 + static_cast<int>(random() % 9));
      plain.insert(chunks.back());
    } else {
      const int item = static_cast<int>(random() % (static_cast<unsigned>(last) + 1));
      CHECK(chunks.insert(item).second == plain.insert(item).second);
    }
    if (i % 7 == 0 && !plain.empty()) {
      const int gone = *plain.begin();
      plain.erase(gone);
      CHECK(chunks.erase(gone));
    }
  }
  CHECK(std::ranges::equal(chunks, plain));
  for (int item : plain) CHECK(chunks.contains(item));
}

TEST_CASE("what comes in order between others leaves no chunk half empty") {
  SortedChunks<int, std::less<>> chunks;
  for (int tens = 0; tens < 10'000'000; tens += 1'000'000) chunks.insert(tens);  // n0, n1, n2: then n10, n11, n100
  for (int tens = 0; tens < 10'000'000; tens += 1'000'000)
    for (int i = 1; i < 2000; ++i) chunks.insert(tens + i);
  CHECK(chunks.size() == 20'000);
  CHECK(chunks.chunks() <= 170);  // 157 full ones; 313 halves
  CHECK(std::ranges::is_sorted(chunks));
}
