#include "rask/scheduler/containers.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

#include "rask/scheduler/queue.h"

namespace rask::scheduler {
namespace {

struct Pair {
  std::uint32_t a;
  std::uint32_t b;
};

TEST(SmallVector, keeps_items_in_order_beyond_its_inline_place) {
  SmallVector<Pair> items;
  EXPECT_EQ(sizeof(items), 16u);
  for (std::uint32_t i = 0; i < 100; ++i) items.push_back({i, 2 * i});
  ASSERT_EQ(items.size(), 100u);
  for (std::uint32_t i = 0; i < 100; ++i) EXPECT_EQ(items[i].b, 2 * i);
  SmallVector<Pair> other{std::move(items)};
  EXPECT_EQ(other.size(), 100u);
  while (!other.empty()) other.pop_back();
  EXPECT_EQ(other.heap_bytes(), 0u);  // The last one out gives the memory back.
}

// Any sequence of additions and removals keeps order and tells every move.
TEST(Roster, remembers_places_through_closing_holes) {
  std::mt19937 random{7};
  Roster roster;
  std::map<std::uint32_t, std::uint32_t> places;
  std::uint32_t next = 0;
  for (int step = 0; step < 5000; ++step) {
    if (places.empty() || random() % 5 < 2) {
      places[next] = roster.add(next);
      ++next;
    } else {
      auto at = places.begin();
      std::advance(at, random() % places.size());
      const auto place = at->second;
      places.erase(at);
      roster.remove(place, [&](std::uint32_t id, std::uint32_t to) { places[id] = to; });
    }
    ASSERT_EQ(roster.size(), places.size());
    for (const auto& [id, place] : places) ASSERT_EQ(roster.at(place), id);
  }
  const auto ids = roster.ids();
  EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));  // Insertion order.
  EXPECT_LE(roster.with_holes().size(), std::max<std::size_t>(32, 2 * ids.size() + 1));
}

// Against std::map, with hashes that collide in clusters around the end of the table.
TEST(HashTable, finds_what_was_inserted_and_not_what_was_erased) {
  std::mt19937 random{11};
  HashTable table;
  std::map<std::uint32_t, std::uint64_t> model;
  const auto find = [&](std::uint64_t hash, std::uint32_t id) {
    return table.find(hash, [&](std::uint32_t other) { return other == id; });
  };
  for (std::uint32_t step = 0; step < 20000; ++step) {
    if (model.empty() || random() % 3 != 0) {
      const std::uint64_t hash = 0xffff'fff0u + random() % 32;
      table.insert(step % 2 == 0 ? hash : random(), step);
      model[step] = step % 2 == 0 ? hash : 0;
      if (step % 2 == 1) {  // Keep only the clustered half in the model's hashes.
        model.erase(step);
        continue;
      }
    } else {
      auto at = model.begin();
      std::advance(at, random() % std::min<std::size_t>(model.size(), 8));
      table.erase(at->second, at->first);
      ASSERT_EQ(find(at->second, at->first), kNone);
      model.erase(at);
    }
    if (step % 500 != 0) continue;
    for (const auto& [id, hash] : model) ASSERT_EQ(find(hash, id), id);
  }
}

TEST(Slab, reuses_numbers_and_never_moves_records) {
  Slab<std::string> slab;
  const auto first = slab.add();
  slab[first] = "first";
  const auto* address = &slab[first];
  for (int i = 0; i < 5000; ++i) slab.add();
  EXPECT_EQ(&slab[first], address);
  slab.remove(first);
  EXPECT_EQ(slab.size(), 5000u);
  EXPECT_EQ(slab.add(), first);
  EXPECT_EQ(slab[first], "");
}

TEST(SortedIds, is_a_set) {
  SortedIds ids;
  for (const auto id : {5u, 1u, 3u, 1u}) ids.insert(id);
  EXPECT_EQ(ids.ids(), (std::vector<std::uint32_t>{1, 3, 5}));
  ids.erase(3);
  ids.erase(4);
  EXPECT_FALSE(ids.contains(3));
  EXPECT_EQ(ids.size(), 2u);
}

}  // namespace
}  // namespace rask::scheduler
