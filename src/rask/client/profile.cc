// What workers sampled of their tasks.
#include "rask/client/client.h"
#include "rask/client/core.h"
#include "rask/client/keys.h"
#include "rask/diagnostics/flame_graph.h"
#include "rask/diagnostics/markup.h"

namespace rask {
namespace {

using wire::Value;

constexpr Seconds kPatience = 30;

Value time_value(const std::optional<Seconds>& time) { return time ? Value{*time} : Value{}; }

// A tree of trees: a node for each worker.
ProfileNode by_worker(const Value& replies) {
  ProfileNode root;
  for (const auto& [address, tree] : replies.as_map()) {
    ProfileNode worker = parse_profile(tree);
    worker.identifier = worker.name = address.as_text();
    root.count += worker.count;
    root.children.push_back(std::move(worker));
  }
  return root;
}

void draw(const ProfileNode& profile, const std::string& filename) {
  constexpr auto kTitle = "rask profile";
  const auto picture = flame_graph_svg(profile, {.title = kTitle});
  internal::write_or_throw(
      filename, filename.ends_with(".html") ? diagnostics::html_page(kTitle, picture) : picture);
}

}  // namespace

ProfileNode Client::profile(const ProfileOptions& options) {
  const Value reply =
      core_->call(Value::object({{"op", "profile"},
                                 {"key", options.key.empty() ? Value{} : Value{options.key}},
                                 {"workers", internal::list_or_nil(options.workers)},
                                 {"merge_workers", options.merge_workers},
                                 {"start", time_value(options.start)},
                                 {"stop", time_value(options.stop)},
                                 {"server", false},
                                 {"scheduler", false}}),
                  kPatience);
  ProfileNode profile = options.merge_workers ? parse_profile(reply) : by_worker(reply);
  if (!options.filename.empty()) draw(profile, options.filename);
  return profile;
}

Client::CallStacks Client::call_stack_of(const std::vector<Key>& keys) {
  const Value reply =
      core_->call(Value::object({{"op", "call_stack"},
                                 {"keys", keys.empty() ? Value{} : internal::list_of(keys)}}),
                  kPatience);
  CallStacks stacks;
  for (const auto& [worker, tasks] : reply.as_map())
    for (const auto& [key, lines] : tasks.as_map())
      stacks[std::string{worker.as_text()}][internal::text_of(key)] = internal::texts_of(lines);
  return stacks;
}

}  // namespace rask
