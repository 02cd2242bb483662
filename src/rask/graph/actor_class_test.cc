#include "rask/graph/actor_class.h"

#include <gmock/gmock.h>

#include "rask/graph/task.h"
#include "rask/graph/value.h"
#include "rask/wire/pickle.h"
#include "rask/wire/pickle_writer.h"

namespace rask {
namespace {

using ::testing::HasSubstr;

// As client/actor.h makes it of a method.
double add(const std::shared_ptr<const std::string>& actor, double more, const std::string& unit) {
  return static_cast<double>(actor->size() + unit.size()) + more;
}

ActorPlace place() { return {Key{"Counter-1"}, "tcp://127.0.0.1:1234"}; }

TEST(ActorClass, the_last_one_of_a_name_counts) {
  EXPECT_EQ(find_actor_class("app::Unknown"), nullptr);
  add_actor_class({"app::Sum", {"add"}});
  add_actor_class({"app::Sum", {"add", "reset"}, {"so_far"}});
  const auto* found = find_actor_class("app::Sum");
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->methods, (std::vector<std::string>{"add", "reset"}));
  EXPECT_EQ(found->attributes, std::vector<std::string>{"so_far"});
}

TEST(ActorClass, an_actor_is_a_pickle_that_says_where_it_is) {
  const auto payload = actor_payload({"app::Sum", {"add"}, {"so_far"}}, place());
  const auto pickle = payload.frames.at(0).view();
  const auto found = pickled_actor(pickle);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->key, place().key);
  EXPECT_EQ(found->worker, place().worker);
  const auto object = wire::read_object(pickle);
  ASSERT_TRUE(object.ok());
  EXPECT_EQ(object.value().type, "distributed.actor.Actor");
}

TEST(ActorClass, it_is_read_as_a_handle) {
  const auto read = decode_payload<ActorPlace>(actor_payload({"app::Sum"}, place()));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read.value().key, place().key);
  EXPECT_EQ(read.value().worker, place().worker);
  const ActorPlace tuple_key{Key::from_msgpack("\x92\xa1x\x01"), "tcp://h:1"};
  const auto other = decode_payload<ActorPlace>(actor_payload({"app::Sum"}, tuple_key));
  ASSERT_TRUE(other.ok()) << other.error().message;
  EXPECT_EQ(other.value().key, tuple_key.key);
}

TEST(ActorClass, other_pickles_are_no_actors) {
  EXPECT_FALSE(pickled_actor("").has_value());
  EXPECT_FALSE(pickled_actor("distributed.actor").has_value());
  EXPECT_FALSE(pickled_actor(wire::write_pickle("distributed.actor")).has_value());
  wire::PickleWriter lacking;
  lacking.global("distributed.actor", "Actor");
  lacking.none();
  lacking.tuple(1);
  lacking.call();
  EXPECT_FALSE(pickled_actor(std::move(lacking).take()).has_value());
}

TEST(ActorClass, a_call_by_name_takes_plain_data_of_both_languages) {
  register_function("app::Sum.add", add);
  wire::Writer header;
  header.map(1);
  header.text("serializer");
  header.text("pickle");
  const wire::Payload pickled{.kind = wire::Payload::Kind::serialized,
                              .header = wire::Buffer::own(header.take()),
                              .frames = {wire::Buffer::own(wire::write_pickle(wire::Value{"kg"}))}};
  const auto call =
      member_call("app::Sum", "add", Key{"a"}, {TaskValue::of(2.5).to_payload(true), pickled});
  ASSERT_TRUE(call.ok()) << call.error().message;
  const auto outcome =
      run_task(call.value(), [](const Key&) { return TaskValue::of(std::string{"abc"}); });
  const auto* value = std::get_if<TaskValue>(&outcome);
  ASSERT_NE(value, nullptr) << std::get<TaskFailure>(outcome).message;
  EXPECT_EQ(*value->as<double>().value(), 7.5);
}

TEST(ActorClass, an_argument_that_cannot_cross_is_named) {
  wire::PickleWriter pickle;
  pickle.global("decimal", "Decimal");
  const auto call =
      member_call("app::Sum", "add", Key{"a"}, {wire::pickled_payload(std::move(pickle).take())});
  ASSERT_FALSE(call.ok());
  EXPECT_THAT(call.error().message, HasSubstr("an argument of app::Sum.add"));
  EXPECT_THAT(call.error().message, HasSubstr("decimal.Decimal"));
}

}  // namespace
}  // namespace rask
