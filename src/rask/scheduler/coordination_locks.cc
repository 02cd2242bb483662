// Events, semaphores, multi-locks.
#include <algorithm>
#include <limits>

#include "rask/base/assert.h"
#include "rask/scheduler/coordination.h"

namespace rask::scheduler {

// ---- Events -------------------------------------------------------------------------------------

bool Events::is_set(const Name& name) const {
  const auto found = events_.find(name);
  return found != events_.end() && found->second.set;
}

bool Events::wait(const Name& name, Ticket ticket) {
  if (is_set(name)) return true;
  events_[name].waiting.push_back(ticket);
  return false;
}

Tickets Events::set(const Name& name) {
  auto& event = events_[name];
  event.set = true;
  return std::exchange(event.waiting, {});
}

// Nobody waits for an event that is set: a clear one is no event.
void Events::clear(const Name& name) {
  if (is_set(name)) events_.erase(name);
}

void Events::withdraw(const Name& name, Ticket ticket) {
  const auto found = events_.find(name);
  if (found == events_.end()) return;
  auto& event = found->second;
  std::erase(event.waiting, ticket);
  if (!event.set && event.waiting.empty()) events_.erase(found);
}

// ---- Semaphores ---------------------------------------------------------------------------------

std::optional<std::int64_t> Semaphores::create(const Name& name, std::int64_t max_leases,
                                               std::optional<Seconds> lease_timeout) {
  const auto [at, added] =
      semaphores_.try_emplace(name, Semaphore{max_leases, lease_timeout, {}, {}});
  if (added || at->second.max_leases == max_leases) return std::nullopt;
  return at->second.max_leases;
}

std::int64_t Semaphores::value(const Name& name) const {
  const auto found = semaphores_.find(name);
  return found == semaphores_.end() ? 0 : static_cast<std::int64_t>(found->second.leases.size());
}

bool Semaphores::take(Semaphore& semaphore, const std::string& lease, Seconds now) {
  const bool room = std::cmp_less(semaphore.leases.size(), semaphore.max_leases);
  if (!room && !semaphore.leases.contains(lease)) return false;
  semaphore.leases[lease] = now;
  return true;
}

void Semaphores::serve(Semaphore& semaphore, Seconds now, Tickets& granted) {
  while (!semaphore.waiting.empty()) {
    const auto& [ticket, lease] = semaphore.waiting.front();
    if (!take(semaphore, lease, now)) return;
    granted.push_back(ticket);
    semaphore.waiting.pop_front();
  }
}

bool Semaphores::acquire(const Name& name, const std::string& lease, Ticket ticket, Seconds now) {
  auto& semaphore = semaphores_.at(name);
  if (take(semaphore, lease, now)) return true;
  semaphore.waiting.emplace_back(ticket, lease);
  return false;
}

std::optional<Tickets> Semaphores::release(const Name& name, const std::string& lease,
                                           Seconds now) {
  const auto found = semaphores_.find(name);
  if (found == semaphores_.end() || found->second.leases.erase(lease) == 0) return std::nullopt;
  Tickets granted;
  serve(found->second, now, granted);
  return granted;
}

std::vector<std::string> Semaphores::refresh(const Name& name, std::span<const std::string> leases,
                                             Seconds now) {
  std::vector<std::string> unknown;
  const auto found = semaphores_.find(name);
  for (const auto& lease : leases) {
    if (found == semaphores_.end() || !found->second.leases.contains(lease)) {
      unknown.push_back(lease);
    }
    if (found != semaphores_.end()) found->second.leases[lease] = now;
  }
  return unknown;
}

Tickets Semaphores::expire(Seconds now) {
  Tickets granted;
  for (auto& [name, semaphore] : semaphores_) {
    if (!semaphore.lease_timeout) continue;
    std::erase_if(semaphore.leases, [&, limit = *semaphore.lease_timeout](const auto& lease) {
      return now - lease.second > limit;
    });
    serve(semaphore, now, granted);
  }
  return granted;
}

bool Semaphores::may_expire() const {
  return std::ranges::any_of(semaphores_, [](const auto& entry) {
    return entry.second.lease_timeout && !entry.second.leases.empty();
  });
}

void Semaphores::withdraw(const Name& name, Ticket ticket) {
  const auto found = semaphores_.find(name);
  if (found == semaphores_.end()) return;
  std::erase_if(found->second.waiting, [&](const auto& entry) { return entry.first == ticket; });
}

Semaphores::Closed Semaphores::close(const Name& name) {
  Closed closed;
  const auto node = semaphores_.extract(name);
  if (node.empty()) return closed;
  for (const auto& [ticket, lease] : node.mapped().waiting) closed.waiting.push_back(ticket);
  for (const auto& [lease, since] : node.mapped().leases) closed.leases.push_back(lease);
  return closed;
}

// ---- Multi-locks --------------------------------------------------------------------------------

bool MultiLocks::acquire(std::span<const Name> locks, const std::string& user, std::size_t count,
                         Ticket ticket) {
  RASK_ASSERT(count > 0 && count <= locks.size());
  std::vector<Name> distinct;
  for (const auto& lock : locks) {
    if (std::ranges::find(distinct, lock) == distinct.end()) distinct.push_back(lock);
  }
  const auto [at, added] =
      users_.try_emplace(user, User{{}, std::min(count, distinct.size()), ticket});
  RASK_ASSERT(added);
  const auto length = [this](const Name& lock) {
    const auto line = lines_.find(lock);
    return line == lines_.end() ? 0 : line->second.size();
  };
  // Free ones first: more than it needs it shall not hold.
  std::ranges::stable_sort(distinct, {}, length);
  for (const auto& lock : distinct) {
    auto& line = lines_[lock];
    line.push_back(user);
    at->second.locks.push_back(lock);
    if (line.size() == 1 && --at->second.missing == 0) return true;
  }
  return false;
}

void MultiLocks::leave(const Name& lock, const std::string& user, std::set<std::string>& moved_up) {
  const auto found = lines_.find(lock);
  auto& line = found->second;
  const bool held = line.front() == user;
  line.erase(std::ranges::find(line, user));
  if (line.empty()) {
    lines_.erase(found);
  } else if (held) {
    moved_up.insert(line.front());
    auto& next = users_.at(line.front());
    if (next.missing > 0) --next.missing;
  }
}

// It has enough: the lines in which it still waits go on without it.
void MultiLocks::keep_what_it_holds(const std::string& name) {
  auto& user = users_.at(name);
  std::erase_if(user.locks, [&](const Name& lock) {
    auto& line = lines_.at(lock);
    if (line.front() == name) return false;
    line.erase(std::ranges::find(line, name));
    return true;
  });
}

Tickets MultiLocks::release(const std::string& user) {
  auto node = users_.extract(user);
  RASK_ASSERT(!node.empty());
  std::set<std::string> moved_up;
  for (const auto& lock : node.mapped().locks) leave(lock, user, moved_up);
  Tickets granted;
  for (const auto& name : moved_up) {
    if (users_.at(name).missing > 0) continue;
    keep_what_it_holds(name);
    granted.push_back(users_.at(name).ticket);
  }
  return granted;
}

}  // namespace rask::scheduler
