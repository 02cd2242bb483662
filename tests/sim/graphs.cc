#include "graphs.h"

#include <algorithm>

#include "rask/graph/delayed_testing.h"

namespace rask::sim {

namespace {

std::int64_t retries_of(const TaskSpec& spec) {
  return spec.annotations == nullptr ? 0 : spec.annotations->retries;
}

}  // namespace

std::uint64_t World::combine(const Key& key, const std::vector<std::uint64_t>& inputs) {
  std::uint64_t value = mix(key.hash());
  for (const auto input : inputs) value = mix(value * 31 + input);
  return value;
}

const TaskSpec& World::add(TaskSpec spec) {
  std::vector<std::uint64_t> inputs;
  spec.must_err = spec.fail_first < 0;
  spec.may_err = spec.must_err || spec.fail_first > retries_of(spec);
  spec.from_scatter = spec.scattered;
  for (const Key& dependency : spec.dependencies) {
    const TaskSpec& other = at(dependency);
    inputs.push_back(other.value);
    spec.must_err |= other.must_err;
    spec.may_err |= other.may_err;
    spec.from_scatter |= other.from_scatter;
  }
  spec.value = combine(spec.key, inputs);
  const Key key = spec.key;
  return specs_.insert_or_assign(key, std::move(spec)).first->second;
}

protocol::Payload run_spec_of(const Key& key) {
  protocol::Payload payload;
  payload.header = wire::Buffer::copy_of("spec");
  payload.frames.push_back(wire::Buffer::copy_of(key.msgpack()));
  return payload;
}

protocol::UpdateGraph to_message(const World& world, const GraphPlan& plan, std::string stimulus) {
  protocol::UpdateGraph message;
  for (const Key& key : plan.keys) {
    const TaskSpec& spec = world.at(key);
    message.tasks.push_back(
        {key, spec.dependencies, run_spec_of(key), spec.annotations, spec.order});
  }
  message.keys = plan.targets;
  message.stimulus_id = std::move(stimulus);
  return message;
}

namespace {

class Builder {
 public:
  Builder(World& world, Random& random, const GraphOptions& options, int number)
      : world_(world), random_(random), options_(options), number_(number) {}

  Key add(const std::string& prefix, std::vector<Key> dependencies) {
    return add(Key{name(prefix, plan_.keys.size())}, std::move(dependencies));
  }

  std::string name(const std::string& prefix, std::size_t index) const {
    return prefix + "-" + std::to_string(number_ * 10'000 + static_cast<int>(index));
  }

  Key add(Key key, std::vector<Key> dependencies) {
    TaskSpec spec;
    spec.key = std::move(key);
    spec.dependencies = std::move(dependencies);
    spec.order = static_cast<std::int64_t>(plan_.keys.size());
    choose_cost(spec);
    choose_behaviour(spec);
    plan_.keys.push_back(world_.add(std::move(spec)).key);
    return plan_.keys.back();
  }

  std::size_t size() { return 1 + random_.below(options_.size_max); }

  // Up to `count` of `from`, each once.
  std::vector<Key> some(const std::vector<Key>& from, std::size_t count) {
    std::vector<Key> chosen;
    for (std::size_t i = 0; i < count && !from.empty(); ++i) {
      const Key& key = random_.of(from);
      if (std::find(chosen.begin(), chosen.end(), key) == chosen.end()) chosen.push_back(key);
    }
    return chosen;
  }

  GraphPlan finish(std::vector<Key> targets) {
    // A client often holds more than the last results.
    for (const Key& key : plan_.keys) {
      if (random_.chance(0.1) && std::find(targets.begin(), targets.end(), key) == targets.end())
        targets.push_back(key);
    }
    plan_.targets = std::move(targets);
    return std::move(plan_);
  }

  const std::vector<Key>& keys() const { return plan_.keys; }

 private:
  void choose_cost(TaskSpec& spec) {
    spec.duration = random_.spread(1e-5, random_.chance(0.03) ? 2.0 : 0.02);
    spec.nbytes = static_cast<std::int64_t>(random_.spread(1, 1e4));
    if (random_.chance(0.05)) spec.nbytes *= 10'000;
  }

  void choose_behaviour(TaskSpec& spec) {
    protocol::Annotations annotations;
    if (random_.chance(options_.fail)) {
      spec.fail_first = random_.chance(0.3) ? -1 : random_.between(1, 2);
      annotations.retries = random_.between(0, 2);
    }
    if (random_.chance(options_.reschedule)) spec.reschedule_first = 1;
    spec.secedes = random_.chance(options_.secede);
    if (random_.chance(options_.restrict)) {
      annotations.workers.push_back(random_.of(options_.worker_names));
      annotations.allow_other_workers = random_.chance(0.3);
    }
    if (random_.chance(options_.resources))
      annotations.resources["R"] = random_.between(1, 2) / 2.0;
    if (random_.chance(0.1)) annotations.priority = random_.between(-2, 2);
    if (annotations != protocol::Annotations{})
      spec.annotations = std::make_shared<const protocol::Annotations>(std::move(annotations));
  }

  World& world_;
  Random& random_;
  const GraphOptions& options_;
  int number_;
  GraphPlan plan_;
};

GraphPlan wide(Builder& builder, const std::vector<Key>& roots, bool reduced) {
  std::vector<Key> layer;
  for (std::size_t i = builder.size(); i > 0; --i) layer.push_back(builder.add("map", roots));
  if (!reduced) return builder.finish(layer);
  return builder.finish({builder.add("reduce", layer)});
}

GraphPlan chain(Builder& builder, const std::vector<Key>& roots) {
  Key last = builder.add("head", roots);
  for (std::size_t i = builder.size(); i > 1; --i) last = builder.add("link", {last});
  return builder.finish({last});
}

GraphPlan tree(Builder& builder, const std::vector<Key>& roots) {
  std::vector<Key> layer;
  for (std::size_t i = builder.size(); i > 0; --i) layer.push_back(builder.add("leaf", roots));
  while (layer.size() > 1) {
    std::vector<Key> next;
    for (std::size_t i = 0; i < layer.size(); i += 3) {
      const auto from = layer.begin() + static_cast<std::ptrdiff_t>(i);
      const auto count = std::min<std::size_t>(3, layer.size() - i);
      next.push_back(builder.add("node", {from, from + static_cast<std::ptrdiff_t>(count)}));
    }
    layer = std::move(next);
  }
  return builder.finish(layer);
}

GraphPlan layers(Builder& builder, const std::vector<Key>& roots, Random& random) {
  const std::size_t width = 1 + random.below(8);
  std::vector<Key> layer = roots;
  for (std::size_t left = builder.size(); left > 0; left -= std::min(left, width)) {
    std::vector<Key> next;
    for (std::size_t i = 0; i < width; ++i) next.push_back(builder.add("shuffle", layer));
    layer = std::move(next);
  }
  return builder.finish(layer);
}

GraphPlan anything(Builder& builder, const std::vector<Key>& roots, Random& random) {
  for (std::size_t i = builder.size(); i > 0; --i) {
    auto dependencies = builder.some(builder.keys(), random.below(4));
    if (dependencies.empty()) dependencies = builder.some(roots, random.below(3));
    builder.add(random.chance(0.5) ? "any" : "other", std::move(dependencies));
  }
  auto targets = builder.some(builder.keys(), 1 + random.below(5));
  return builder.finish(targets);
}

int gather(const std::vector<int>&) { return 0; }  // What it computes is worked out by World.

}  // namespace

GraphPlan lazy_graph(World& world, Random& random, const GraphOptions& options, int number) {
  Builder builder{world, random, options, number};
  using delayed_testing::Handle;
  std::vector<Handle<int>> calls;
  std::vector<Handle<int>> ends;  // What no other call needs: so the client wants it.
  for (std::size_t i = builder.size(); i > 0; --i) {
    std::vector<Handle<int>> needs;
    for (auto count = calls.empty() ? 0 : random.below(4); count > 0; --count) {
      needs.push_back(
          random.chance(0.7)
              ? calls[calls.size() - 1 - random.below(std::min<std::size_t>(calls.size(), 6))]
              : random.of(calls));
      std::erase_if(ends, [&](const auto& end) { return end.key() == needs.back().key(); });
    }
    auto made = delayed_testing::call<gather>(needs);
    const_cast<internal::DelayedNode*>(made.ref.get())
        ->set_options({.name = builder.name(needs.empty() ? "load" : "lazy", calls.size())});
    calls.push_back(made);
    ends.push_back(made);
  }
  const internal::Plan plan = delayed_testing::plan_of(ends);
  for (const std::uint32_t place : plan.ordered()) {
    const internal::DelayedNode& node = *plan.nodes[place];
    builder.add(node.key(), internal::written_call(node).dependencies);
  }
  std::vector<Key> targets;
  for (const auto& end : ends) targets.push_back(end.key());
  return builder.finish(std::move(targets));
}

GraphPlan random_graph(World& world, Random& random, const GraphOptions& options, int number,
                       const std::vector<Key>& external) {
  Builder builder{world, random, options, number};
  const auto roots = random.chance(0.5) ? builder.some(external, 2) : std::vector<Key>{};
  switch (random.below(7)) {
    case 0:
      return wide(builder, roots, false);
    case 1:
      return wide(builder, roots, true);
    case 2:
      return chain(builder, roots);
    case 3:
      return tree(builder, roots);
    case 4:
      return layers(builder, roots, random);
    case 5:
      return lazy_graph(world, random, options, number);
    default:
      return anything(builder, roots, random);
  }
}

}  // namespace rask::sim
