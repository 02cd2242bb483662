#include "rask/scheduler/coordination.h"

#include <gmock/gmock.h>

namespace rask::scheduler {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const Name x{"x"};
const Name y{"y"};
const Name z{"z"};
constexpr Ticket t1{1}, t2{2}, t3{3}, t4{4};

// ---- Events -------------------------------------------------------------------------------------

TEST(Events, wake_everybody_who_waited_and_leave_nothing_behind) {
  Events events;
  EXPECT_FALSE(events.is_set(x));
  EXPECT_FALSE(events.wait(x, t1));
  EXPECT_FALSE(events.wait(x, t2));
  events.clear(x);  // Clear already: nobody is woken, nobody forgotten.
  EXPECT_THAT(events.set(x), ElementsAre(t1, t2));
  EXPECT_TRUE(events.is_set(x));
  EXPECT_TRUE(events.wait(x, t3));
  events.clear(x);
  EXPECT_FALSE(events.is_set(x));
  EXPECT_EQ(events.size(), 0);
}

TEST(Events, forget_who_does_not_wait_any_more) {
  Events events;
  events.wait(x, t1);
  events.wait(x, t2);
  events.withdraw(x, t1);
  EXPECT_EQ(events.size(), 1);
  events.withdraw(x, t2);
  EXPECT_EQ(events.size(), 0);
  EXPECT_THAT(events.set(x), IsEmpty());
  events.withdraw(x, t2);
  EXPECT_TRUE(events.is_set(x));
}

// ---- Semaphores ---------------------------------------------------------------------------------

TEST(Semaphores, give_leases_in_the_order_of_asking) {
  Semaphores semaphores;
  EXPECT_EQ(semaphores.create(x, 2, 30), std::nullopt);
  EXPECT_TRUE(semaphores.acquire(x, "a", t1, 0));
  EXPECT_TRUE(semaphores.acquire(x, "b", t2, 0));
  EXPECT_FALSE(semaphores.acquire(x, "c", t3, 0));
  EXPECT_FALSE(semaphores.acquire(x, "d", t4, 0));
  EXPECT_EQ(semaphores.value(x), 2);
  EXPECT_THAT(semaphores.release(x, "b", 0).value(), ElementsAre(t3));
  EXPECT_THAT(semaphores.release(x, "a", 0).value(), ElementsAre(t4));
  EXPECT_EQ(semaphores.release(x, "a", 0), std::nullopt);
  EXPECT_EQ(semaphores.value(x), 2);
  EXPECT_EQ(semaphores.value(y), 0);
}

TEST(Semaphores, are_made_once) {
  Semaphores semaphores;
  EXPECT_EQ(semaphores.create(x, 2, 30), std::nullopt);
  EXPECT_EQ(semaphores.create(x, 2, 30), std::nullopt);
  EXPECT_EQ(semaphores.create(x, 3, 30), 2);
}

TEST(Semaphores, give_the_same_lease_again_to_who_asks_again) {
  Semaphores semaphores;
  semaphores.create(x, 1, 30);
  EXPECT_TRUE(semaphores.acquire(x, "a", t1, 0));
  EXPECT_TRUE(semaphores.acquire(x, "a", t2, 0));
  EXPECT_EQ(semaphores.value(x), 1);
}

TEST(Semaphores, give_nothing_to_who_has_gone) {
  Semaphores semaphores;
  semaphores.create(x, 1, 30);
  semaphores.acquire(x, "a", t1, 0);
  semaphores.acquire(x, "b", t2, 0);
  semaphores.acquire(x, "c", t3, 0);
  semaphores.withdraw(x, t2);
  EXPECT_THAT(semaphores.release(x, "a", 0).value(), ElementsAre(t3));
}

TEST(Semaphores, take_back_leases_that_nobody_refreshes) {
  Semaphores semaphores;
  semaphores.create(x, 1, 30);
  semaphores.create(y, 1, std::nullopt);
  EXPECT_FALSE(semaphores.may_expire());
  semaphores.acquire(y, "for ever", t1, 0);
  EXPECT_FALSE(semaphores.may_expire());
  semaphores.acquire(x, "a", t1, 0);
  semaphores.acquire(x, "b", t2, 0);
  EXPECT_TRUE(semaphores.may_expire());
  const std::vector<std::string> mine{"a"};
  EXPECT_THAT(semaphores.refresh(x, mine, 20), IsEmpty());
  EXPECT_THAT(semaphores.expire(50), IsEmpty());
  EXPECT_THAT(semaphores.expire(50.1), ElementsAre(t2));
  EXPECT_THAT(semaphores.expire(1000), IsEmpty());
  EXPECT_EQ(semaphores.value(x), 0);
  EXPECT_EQ(semaphores.value(y), 1);
}

TEST(Semaphores, believe_a_holder_whose_lease_timed_out) {
  Semaphores semaphores;
  semaphores.create(x, 1, 30);
  semaphores.acquire(x, "b", t1, 0);
  const std::vector<std::string> mine{"a"};
  EXPECT_THAT(semaphores.refresh(x, mine, 0), ElementsAre("a"));
  EXPECT_EQ(semaphores.value(x), 2);
  EXPECT_FALSE(semaphores.acquire(x, "c", t2, 0));
  EXPECT_THAT(semaphores.release(x, "a", 0).value(), IsEmpty());
  EXPECT_THAT(semaphores.release(x, "b", 0).value(), ElementsAre(t2));
}

TEST(Semaphores, say_who_is_left_when_they_close) {
  Semaphores semaphores;
  semaphores.create(x, 1, 30);
  semaphores.acquire(x, "a", t1, 0);
  semaphores.acquire(x, "b", t2, 0);
  const auto closed = semaphores.close(x);
  EXPECT_THAT(closed.leases, ElementsAre("a"));
  EXPECT_THAT(closed.waiting, ElementsAre(t2));
  EXPECT_FALSE(semaphores.contains(x));
  EXPECT_EQ(semaphores.release(x, "a", 0), std::nullopt);
  EXPECT_THAT(semaphores.close(x).waiting, IsEmpty());
}

// ---- Multi-locks --------------------------------------------------------------------------------

TEST(MultiLocks, are_held_when_all_of_them_are) {
  MultiLocks locks;
  const std::vector<Name> both{x, y};
  const std::vector<Name> one{y};
  EXPECT_TRUE(locks.acquire(one, "alice", 1, t1));
  EXPECT_FALSE(locks.acquire(both, "bob", 2, t2));
  EXPECT_FALSE(locks.acquire(one, "charlie", 1, t3));
  EXPECT_THAT(locks.release("alice"), ElementsAre(t2));
  EXPECT_THAT(locks.release("bob"), ElementsAre(t3));
  EXPECT_THAT(locks.release("charlie"), IsEmpty());
  EXPECT_EQ(locks.size(), 0);
}

TEST(MultiLocks, take_no_more_locks_than_they_need) {
  MultiLocks locks;
  const std::vector<Name> all{x, y, z};
  EXPECT_TRUE(locks.acquire(all, "alice", 1, t1));
  EXPECT_TRUE(locks.acquire(all, "bob", 1, t2));
  EXPECT_EQ(locks.size(), 2);
  EXPECT_FALSE(locks.acquire(all, "charlie", 2, t3));
  EXPECT_FALSE(locks.acquire(all, "dora", 1, t4));
  // Charlie has two of them then, and does not stand in the way of dora for the third.
  EXPECT_THAT(locks.release("alice"), ElementsAre(t3));
  EXPECT_THAT(locks.release("bob"), ElementsAre(t4));
  EXPECT_THAT(locks.release("dora"), IsEmpty());
  EXPECT_THAT(locks.release("charlie"), IsEmpty());
  EXPECT_EQ(locks.size(), 0);
}

TEST(MultiLocks, let_others_go_on_when_somebody_gives_up) {
  MultiLocks locks;
  const std::vector<Name> both{x, y};
  const std::vector<Name> first{x};
  const std::vector<Name> second{y};
  EXPECT_TRUE(locks.acquire(second, "alice", 1, t1));
  EXPECT_FALSE(locks.acquire(both, "bob", 2, t2));
  EXPECT_FALSE(locks.acquire(first, "charlie", 1, t3));
  EXPECT_THAT(locks.release("bob"), ElementsAre(t3));
  EXPECT_FALSE(locks.contains("bob"));
}

TEST(MultiLocks, count_a_lock_once_that_is_named_twice) {
  MultiLocks locks;
  const std::vector<Name> twice{x, x};
  EXPECT_TRUE(locks.acquire(twice, "alice", 2, t1));
}

// ---- Queues -------------------------------------------------------------------------------------

Item data(std::int64_t number) { return wire::Value{number}; }

std::vector<std::string> lines(const Queues::Output& out) {
  std::vector<std::string> lines;
  const auto number = [](Ticket ticket) {
    return std::to_string(static_cast<std::uint64_t>(ticket));
  };
  for (const auto ticket : out.put) lines.push_back("put " + number(ticket));
  for (const auto& [ticket, items] : out.got) {
    lines.push_back("got " + number(ticket));
    for (const auto& item : items) {
      const auto* key = std::get_if<Key>(&item);
      lines.back() += " " + (key ? key->str() : wire::to_string(std::get<wire::Value>(item)));
    }
  }
  for (const auto ticket : out.closed) lines.push_back("closed " + number(ticket));
  for (const auto& hold : out.held) lines.push_back("hold " + hold.key.str());
  for (const auto& hold : out.dropped) lines.push_back("drop " + hold.key.str());
  return lines;
}

// What one call gives.
template <class Call>
std::vector<std::string> out_of(Call&& call) {
  Queues::Output out;
  call(out);
  return lines(out);
}

TEST(Queues, give_items_in_the_order_of_putting_to_who_waited_longest) {
  Queues queues;
  queues.create(x, 0);
  EXPECT_THAT(out_of([&](auto& out) { queues.put(x, data(7), t1, out); }), ElementsAre("put 1"));
  EXPECT_EQ(queues.size(x), 1);
  EXPECT_THAT(out_of([&](auto& out) { queues.get(x, 1, t2, out); }), ElementsAre("got 2 7"));
  EXPECT_THAT(out_of([&](auto& out) { queues.get(x, 1, t3, out); }), IsEmpty());
  EXPECT_THAT(out_of([&](auto& out) { queues.get(x, 1, t4, out); }), IsEmpty());
  EXPECT_THAT(out_of([&](auto& out) { queues.withdraw(x, t3, out); }), IsEmpty());
  EXPECT_THAT(out_of([&](auto& out) { queues.put(x, data(8), t1, out); }),
              ElementsAre("put 1", "got 4 8"));
}

TEST(Queues, make_who_puts_wait_when_they_are_full) {
  Queues queues;
  queues.create(x, 1);
  out_of([&](auto& out) { queues.put(x, data(1), t1, out); });
  EXPECT_THAT(out_of([&](auto& out) { queues.put(x, data(2), t2, out); }), IsEmpty());
  EXPECT_THAT(out_of([&](auto& out) { queues.put(x, data(3), t3, out); }), IsEmpty());
  EXPECT_THAT(out_of([&](auto& out) { queues.withdraw(x, t2, out); }), IsEmpty());
  EXPECT_THAT(out_of([&](auto& out) { queues.get(x, 1, t4, out); }),
              ElementsAre("put 3", "got 4 1"));
  EXPECT_EQ(queues.size(x), 1);
}

TEST(Queues, give_batches) {
  Queues queues;
  queues.create(x, 1);
  EXPECT_THAT(out_of([&](auto& out) { queues.get(x, 2, t1, out); }), IsEmpty());
  EXPECT_THAT(out_of([&](auto& out) { queues.get(x, 1, t2, out); }), IsEmpty());
  // The batch has one and stands behind the other who waits.
  EXPECT_THAT(out_of([&](auto& out) { queues.put(x, data(1), t3, out); }), ElementsAre("put 3"));
  EXPECT_THAT(out_of([&](auto& out) { queues.put(x, data(2), t3, out); }),
              ElementsAre("put 3", "got 2 2"));
  EXPECT_THAT(out_of([&](auto& out) { queues.put(x, data(3), t3, out); }),
              ElementsAre("put 3", "got 1 1 3"));
  out_of([&](auto& out) { queues.put(x, data(4), t3, out); });
  out_of([&](auto& out) { queues.put(x, data(5), t4, out); });
  Queues::Output out;
  EXPECT_THAT(queues.get_all(x, out), ElementsAre(data(4), data(5)));
  EXPECT_THAT(lines(out), ElementsAre("put 4"));
}

TEST(Queues, take_back_what_a_batch_had_got) {
  Queues queues;
  queues.create(x, 0);
  out_of([&](auto& out) { queues.get(x, 3, t1, out); });
  out_of([&](auto& out) { queues.put(x, data(1), t2, out); });
  out_of([&](auto& out) { queues.put(x, data(2), t2, out); });
  EXPECT_EQ(queues.size(x), 0);
  EXPECT_THAT(out_of([&](auto& out) { queues.withdraw(x, t1, out); }), IsEmpty());
  EXPECT_EQ(queues.size(x), 2);
  EXPECT_THAT(out_of([&](auto& out) { queues.get(x, 2, t3, out); }), ElementsAre("got 3 1 2"));
}

TEST(Queues, hold_a_key_until_everybody_who_got_it_holds_it) {
  Queues queues;
  queues.create(x, 0);
  EXPECT_THAT(out_of([&](auto& out) { queues.put(x, Key{"k"}, t1, out); }),
              ElementsAre("put 1", "hold k"));
  EXPECT_THAT(out_of([&](auto& out) { queues.put(x, Key{"k"}, t1, out); }), ElementsAre("put 1"));
  EXPECT_THAT(out_of([&](auto& out) { queues.get(x, 2, t2, out); }), ElementsAre("got 2 k k"));
  EXPECT_THAT(out_of([&](auto& out) { queues.future_release(x, Key{"k"}, out); }), IsEmpty());
  EXPECT_THAT(out_of([&](auto& out) { queues.future_release(x, Key{"k"}, out); }),
              ElementsAre("drop k"));
  EXPECT_THAT(out_of([&](auto& out) { queues.future_release(x, Key{"k"}, out); }), IsEmpty());
}

TEST(Queues, do_not_hold_what_could_not_be_put) {
  Queues queues;
  queues.create(x, 1);
  out_of([&](auto& out) { queues.put(x, data(1), t1, out); });
  EXPECT_THAT(out_of([&](auto& out) { queues.put(x, Key{"k"}, t2, out); }), ElementsAre("hold k"));
  EXPECT_THAT(out_of([&](auto& out) { queues.withdraw(x, t2, out); }), ElementsAre("drop k"));
}

TEST(Queues, end_with_the_last_of_their_users) {
  Queues queues;
  queues.create(x, 1);
  queues.create(x, 5);
  out_of([&](auto& out) { queues.put(x, Key{"k"}, t1, out); });
  out_of([&](auto& out) { queues.put(x, Key{"l"}, t2, out); });
  EXPECT_THAT(out_of([&](auto& out) { queues.release(x, out); }), IsEmpty());
  EXPECT_THAT(out_of([&](auto& out) { queues.release(x, out); }),
              ElementsAre("closed 2", "drop l", "drop k"));
  EXPECT_FALSE(queues.contains(x));
  EXPECT_THAT(out_of([&](auto& out) { queues.release(x, out); }), IsEmpty());
}

// ---- Variables ----------------------------------------------------------------------------------

std::vector<std::string> lines(const Variables::Output& out) {
  std::vector<std::string> lines;
  for (const auto& answer : out.got) {
    const auto* key = std::get_if<Key>(&answer.item);
    lines.push_back("got " + std::to_string(static_cast<std::uint64_t>(answer.ticket)) + " " +
                    (key ? key->str() : wire::to_string(std::get<wire::Value>(answer.item))));
  }
  for (const auto& hold : out.held) lines.push_back("hold " + hold.key.str());
  for (const auto& hold : out.dropped) lines.push_back("drop " + hold.key.str());
  return lines;
}

struct VariableRig {
  Variables variables;
  std::uint64_t last_token = 0;

  template <class Call>
  std::vector<std::string> operator()(Call&& call) {
    Variables::Output out;
    call(out);
    if (!out.got.empty()) last_token = out.got.back().token;
    return lines(out);
  }
  auto set(Item item) {
    return (*this)([&](auto& out) { variables.set(x, item, out); });
  }
  auto get(Ticket ticket, const std::string& client = "alice") {
    return (*this)([&](auto& out) { variables.get(x, client, ticket, out); });
  }
  auto confirm(const char* key, std::uint64_t token) {
    return (*this)([&](auto& out) { variables.confirm(x, Key{key}, token, out); });
  }
  auto remove() {
    return (*this)([&](auto& out) { variables.remove(x, out); });
  }
};

TEST(Variables, answer_who_waited_when_they_are_set) {
  VariableRig rig;
  EXPECT_THAT(rig.get(t1), IsEmpty());
  EXPECT_THAT(rig.get(t2), IsEmpty());
  EXPECT_THAT(rig.get(t3), IsEmpty());
  rig.variables.withdraw(x, t2);
  EXPECT_THAT(rig.set(data(1)), ElementsAre("got 1 1", "got 3 1"));
  EXPECT_THAT(rig.set(data(2)), IsEmpty());
  EXPECT_THAT(rig.get(t1), ElementsAre("got 1 2"));
  EXPECT_THAT(rig.remove(), IsEmpty());
  EXPECT_THAT(rig.get(t1), IsEmpty());
}

TEST(Variables, hold_a_key_until_they_have_another) {
  VariableRig rig;
  EXPECT_THAT(rig.set(Key{"k"}), ElementsAre("hold k"));
  EXPECT_THAT(rig.set(Key{"k"}), IsEmpty());
  EXPECT_THAT(rig.set(Key{"l"}), ElementsAre("hold l", "drop k"));
  EXPECT_THAT(rig.set(data(1)), ElementsAre("drop l"));
  EXPECT_THAT(rig.set(Key{"k"}), ElementsAre("hold k"));
  EXPECT_THAT(rig.remove(), ElementsAre("drop k"));
}

TEST(Variables, hold_a_key_until_who_got_it_holds_it) {
  VariableRig rig;
  rig.set(Key{"k"});
  EXPECT_THAT(rig.get(t1), ElementsAre("got 1 k"));
  const auto first = rig.last_token;
  EXPECT_THAT(rig.get(t2), ElementsAre("got 2 k"));
  const auto second = rig.last_token;
  EXPECT_THAT(rig.set(data(1)), IsEmpty());
  EXPECT_THAT(rig.confirm("k", first), IsEmpty());
  EXPECT_THAT(rig.confirm("k", first), IsEmpty());
  EXPECT_THAT(rig.confirm("k", second), ElementsAre("drop k"));
}

TEST(Variables, keep_a_key_that_they_have_again_when_an_old_reader_confirms) {
  VariableRig rig;
  rig.set(Key{"k"});
  rig.get(t1);
  const auto token = rig.last_token;
  rig.set(data(1));
  EXPECT_THAT(rig.set(Key{"k"}), IsEmpty());  // Held all the while.
  EXPECT_THAT(rig.confirm("k", token), IsEmpty());
  EXPECT_THAT(rig.remove(), ElementsAre("drop k"));
}

TEST(Variables, wait_for_no_client_that_is_gone) {
  VariableRig rig;
  rig.set(Key{"k"});
  rig.get(t1, "alice");
  rig.get(t2, "bob");
  rig.get(t3, "");
  rig.remove();
  const auto gone = [&](const char* client) {
    return rig([&](auto& out) { rig.variables.remove_client(client, out); });
  };
  EXPECT_THAT(gone("bob"), IsEmpty());
  EXPECT_THAT(gone("alice"), ElementsAre("drop k"));
}

}  // namespace
}  // namespace rask::scheduler
