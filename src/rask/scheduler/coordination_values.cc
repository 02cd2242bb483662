// Queues and variables: what clients hand to each other.
#include <algorithm>

#include "rask/base/assert.h"
#include "rask/scheduler/coordination.h"

namespace rask::scheduler {

// ---- Queues -------------------------------------------------------------------------------------

Queues::Queue& Queues::at(const Name& name) {
  const auto found = queues_.find(name);
  RASK_ASSERT(found != queues_.end());
  return found->second;
}

std::size_t Queues::size(const Name& name) const { return queues_.at(name).items.size(); }

void Queues::create(const Name& name, std::int64_t maxsize) {
  const auto [found, added] = queues_.try_emplace(name);
  ++found->second.users;
  if (added && maxsize > 0) found->second.maxsize = static_cast<std::size_t>(maxsize);
}

void Queues::release(const Name& name, Output& out) {
  const auto found = queues_.find(name);
  if (found == queues_.end() || --found->second.users > 0) return;
  for (const auto& getter : found->second.getters) {
    out.closed.push_back(getter.ticket);
    for (const auto& item : getter.items) drop(name, item, out);
  }
  for (const auto& [ticket, item] : found->second.putters) {
    out.closed.push_back(ticket);
    drop(name, item, out);
  }
  for (const auto& item : found->second.items) drop(name, item, out);
  queues_.erase(found);
}

// A key is held once, however often it is in the queue.
void Queues::hold(const Name& name, const Item& item, Output& out) {
  const auto* key = std::get_if<Key>(&item);
  if (key != nullptr && ++holds_[{name, *key}] == 1) out.held.push_back({name, *key});
}

void Queues::drop(const Name& name, const Item& item, Output& out) {
  const auto* key = std::get_if<Key>(&item);
  if (key == nullptr) return;
  const auto found = holds_.find({name, *key});
  if (found == holds_.end() || --found->second > 0) return;
  holds_.erase(found);
  out.dropped.push_back({name, *key});
}

void Queues::put(const Name& name, Item item, Ticket ticket, Output& out) {
  auto& queue = at(name);
  hold(name, item, out);
  queue.putters.emplace_back(ticket, std::move(item));
  serve(queue, out);
}

void Queues::get(const Name& name, std::size_t count, Ticket ticket, Output& out) {
  RASK_ASSERT(count > 0);
  auto& queue = at(name);
  queue.getters.push_back({ticket, count, {}});
  serve(queue, out);
}

std::vector<Item> Queues::get_all(const Name& name, Output& out) {
  auto& queue = at(name);
  std::vector<Item> all;
  while (!queue.items.empty()) {
    all.push_back(std::move(queue.items.front()));
    queue.items.pop_front();
    serve(queue, out);
  }
  return all;
}

// Items move in as there is room, and out as somebody waits, until neither goes on.
void Queues::serve(Queue& queue, Output& out) {
  for (;;) {
    const bool room = queue.maxsize == 0 || queue.items.size() < queue.maxsize;
    if (room && !queue.putters.empty()) {
      auto& [ticket, item] = queue.putters.front();
      out.put.push_back(ticket);
      queue.items.push_back(std::move(item));
      queue.putters.pop_front();
    } else if (!queue.items.empty() && !queue.getters.empty()) {
      auto getter = std::move(queue.getters.front());
      queue.getters.pop_front();
      getter.items.push_back(std::move(queue.items.front()));
      queue.items.pop_front();
      if (getter.items.size() == getter.count) {
        out.got.emplace_back(getter.ticket, std::move(getter.items));
      } else {
        queue.getters.push_back(std::move(getter));  // Others wait, too.
      }
    } else {
      return;
    }
  }
}

void Queues::withdraw(const Name& name, Ticket ticket, Output& out) {
  const auto found = queues_.find(name);
  if (found == queues_.end()) return;
  auto& queue = found->second;
  std::erase_if(queue.putters, [&](const auto& putter) {
    if (putter.first != ticket) return false;
    drop(name, putter.second, out);
    return true;
  });
  const auto getter = std::ranges::find(queue.getters, ticket, &Getter::ticket);
  if (getter == queue.getters.end()) return;
  queue.items.insert(queue.items.begin(), std::make_move_iterator(getter->items.begin()),
                     std::make_move_iterator(getter->items.end()));
  queue.getters.erase(getter);
  serve(queue, out);
}

void Queues::future_release(const Name& name, const Key& key, Output& out) {
  drop(name, Item{key}, out);
}

// ---- Variables ----------------------------------------------------------------------------------

bool Variables::is_current(const Place& place) const {
  const auto found = values_.find(place.first);
  return found != values_.end() && found->second == Item{place.second};
}

void Variables::drop_unless_needed(const Place& place, Output& out) {
  if (is_current(place) || unconfirmed_.contains(place)) return;
  if (held_.erase(place) > 0) out.dropped.push_back({place.first, place.second});
}

void Variables::set(const Name& name, Item item, Output& out) {
  if (const auto* key = std::get_if<Key>(&item)) {
    if (held_.insert({name, *key}).second) out.held.push_back({name, *key});
  }
  const auto before = std::exchange(values_[name], std::move(item));
  if (const auto* key = std::get_if<Key>(&before); key != nullptr && !key->empty()) {
    drop_unless_needed({name, *key}, out);
  }
  if (const auto waiting = waiting_.extract(name)) {
    for (const auto& [ticket, client] : waiting.mapped()) answer(name, client, ticket, out);
  }
}

void Variables::get(const Name& name, const std::string& client, Ticket ticket, Output& out) {
  if (contains(name)) return answer(name, client, ticket, out);
  waiting_[name].emplace_back(ticket, client);
}

void Variables::answer(const Name& name, const std::string& client, Ticket ticket, Output& out) {
  const auto& item = values_.at(name);
  const auto token = ++last_token_;
  const auto* key = std::get_if<Key>(&item);
  if (key != nullptr && !client.empty()) unconfirmed_[{name, *key}].emplace(token, client);
  out.got.push_back({ticket, item, token});
}

void Variables::confirm(const Name& name, const Key& key, std::uint64_t token, Output& out) {
  const auto found = unconfirmed_.find({name, key});
  if (found == unconfirmed_.end()) return;
  found->second.erase(token);
  if (!found->second.empty()) return;
  unconfirmed_.erase(found);
  drop_unless_needed({name, key}, out);
}

void Variables::remove(const Name& name, Output& out) {
  const auto node = values_.extract(name);
  if (node.empty()) return;
  if (const auto* key = std::get_if<Key>(&node.mapped())) drop_unless_needed({name, *key}, out);
}

void Variables::remove_client(const std::string& client, Output& out) {
  for (auto at = unconfirmed_.begin(); at != unconfirmed_.end();) {
    std::erase_if(at->second, [&](const auto& entry) { return entry.second == client; });
    const auto place = at->first;
    const bool all = at->second.empty();
    at = all ? unconfirmed_.erase(at) : std::next(at);
    if (all) drop_unless_needed(place, out);
  }
}

void Variables::withdraw(const Name& name, Ticket ticket) {
  const auto found = waiting_.find(name);
  if (found == waiting_.end()) return;
  std::erase_if(found->second, [&](const auto& entry) { return entry.first == ticket; });
  if (found->second.empty()) waiting_.erase(found);
}

}  // namespace rask::scheduler
