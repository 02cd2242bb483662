#include "rask/graph/actor_class.h"

#include <atomic>

#include "rask/graph/codec.h"
#include "rask/graph/pickled_task.h"
#include "rask/graph/task.h"
#include "rask/graph/value.h"
#include "rask/wire/message.h"
#include "rask/wire/msgpack.h"
#include "rask/wire/pickle.h"
#include "rask/wire/pickle_writer.h"

namespace rask {
namespace {

constexpr std::string_view kActorModule = "distributed.actor";
constexpr std::string_view kActorName = "Actor";
constexpr std::string_view kActorType = "distributed.actor.Actor";

struct KnownClass {
  const ActorClass actor_class;
  const KnownClass* next;
};
// The newest first. Never freed: threads may be inside at any time.
std::atomic<const KnownClass*> g_known = nullptr;

// type(name, (object,), {method: something callable, attribute: None})
void pickle_class(wire::PickleWriter& out, const ActorClass& actor_class) {
  out.global("builtins", "type");
  out.text(actor_class.name);
  out.global("builtins", "object");
  out.tuple(1);
  out.open_dict();
  for (const std::string& method : actor_class.methods) {
    out.text(method);
    out.global("operator", "methodcaller");
    out.text(method);
    out.tuple(1);
    out.call();
  }
  for (const std::string& attribute : actor_class.attributes) {
    out.text(attribute);
    out.none();
  }
  out.close_dict();
  out.tuple(3);
  out.call();
}

}  // namespace

void add_actor_class(ActorClass actor_class) {
  auto* entry = new KnownClass{std::move(actor_class), g_known.load(std::memory_order_relaxed)};
  while (!g_known.compare_exchange_weak(entry->next, entry, std::memory_order_release)) continue;
}

const ActorClass* find_actor_class(std::string_view name) {
  const KnownClass* known = g_known.load(std::memory_order_acquire);
  while (known != nullptr && known->actor_class.name != name) known = known->next;
  return known == nullptr ? nullptr : &known->actor_class;
}

void Codec<ActorPlace>::encode(Encoder& out, const ActorPlace& place) {
  out.array(2);
  out.binary(place.key.msgpack());
  out.text(place.worker);
}

bool Codec<ActorPlace>::decode(Decoder& in, ActorPlace& place) {
  std::string_view key;
  std::string_view worker;
  if (!in.array_of(2) || !in.text(key) || !in.text(worker)) return false;
  place = {Key::from_msgpack(key), std::string{worker}};
  return true;
}

wire::Payload actor_payload(const ActorClass& actor_class, const ActorPlace& place) {
  wire::PickleWriter out;
  out.global(kActorModule, kActorName);
  pickle_class(out, actor_class);
  out.text(place.worker);
  wire::Reader of_key{place.key.msgpack()};
  internal::pickle_key(out, of_key);
  out.tuple(3);
  out.call();
  return wire::serialized_pickle(std::move(out).take());
}

std::optional<ActorPlace> pickled_actor(std::string_view pickle) {
  if (pickle.find(kActorModule) == std::string_view::npos) return std::nullopt;
  const auto object = wire::read_object(pickle);
  if (!object.ok() || object.value().type != kActorType) return std::nullopt;
  const auto& arguments = object.value().arguments;  // class, address, key
  if (arguments.size() != 3) return std::nullopt;
  return ActorPlace{Key::from_msgpack(wire::encode(arguments[2])[0].view()),
                    std::string{arguments[1].as_text()}};
}

Result<wire::Payload> member_call(std::string_view actor_class, std::string_view member,
                                  const Key& actor, const std::vector<wire::Payload>& arguments) {
  const std::string function = std::string{actor_class} + "." + std::string{member};
  TaskWriter call;
  call.begin(function, 1 + arguments.size());
  call.dependency(actor);
  for (const wire::Payload& argument : arguments) {
    const auto explain = [&](Error error) {
      return std::move(error).with_context("an argument of " + function);
    };
    auto readable = readable_payload(argument);
    if (!readable.ok()) return explain(readable.error());
    Decoder in{readable.value().root, readable.value().frames};
    wire::Value value;
    if (!in.value(value)) return explain(in.error());
    call.encoder().value(value);
  }
  return call.take();
}

}  // namespace rask
