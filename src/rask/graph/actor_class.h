#pragma once
// Actors as Python knows them: by name, and as a pickle of distributed.actor.Actor.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rask/base/result.h"
#include "rask/graph/codec.h"
#include "rask/graph/key.h"
#include "rask/wire/payload.h"

namespace rask {

// A class whose actors can be called by name. Each member is also a task function
// (graph/function.h) that is called "<class>.<member>" and takes the actor first.
struct ActorClass {
  std::string name;
  std::vector<std::string> methods = {};
  std::vector<std::string> attributes = {};
};
// The same class again takes the place of the one before. On any thread.
void add_actor_class(ActorClass actor_class);
const ActorClass* find_actor_class(std::string_view name);  // null: none

struct ActorPlace {
  Key key;
  std::string worker;  // Its address.
};
// [MessagePack of the key, address].
template <>
struct Codec<ActorPlace> {
  static void encode(Encoder& out, const ActorPlace& place);
  static bool decode(Decoder& in, ActorPlace& place);
};

// What any Dask client reads as the actor at that place. It needs nothing of rask: the class that
// it names is made as it is read, of members that tell methods from attributes.
wire::Payload actor_payload(const ActorClass& actor_class, const ActorPlace& place);
// nullopt: a pickle of something else.
std::optional<ActorPlace> pickled_actor(std::string_view pickle);

// The call of a member as a native task: the actor is its first argument.
//   arguments  plain data of C++ or Python
//   errors     invalid_argument: one that cannot be read in C++
Result<wire::Payload> member_call(std::string_view actor_class, std::string_view member,
                                  const Key& actor, const std::vector<wire::Payload>& arguments);

}  // namespace rask
