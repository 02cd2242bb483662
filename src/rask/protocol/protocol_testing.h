#pragma once
// For tests of this room and its fuzz targets: random messages, deep comparison, one-message
// batches.
#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "rask/protocol/annotations.h"
#include "rask/protocol/codec.h"
#include "rask/protocol/payloads.h"

namespace rask::protocol::testing {

// ---- Comparison ---------------------------------------------------------------------------------
// Member by member, found from the struct itself: a field that the codec forgets is still compared.

struct Anything {
  template <class T>
  operator T() const;
};

template <class T, std::size_t... I>
constexpr bool has_fields(std::index_sequence<I...>) {
  return requires { T{(static_cast<void>(I), Anything{})...}; };
}

template <class T, std::size_t N = 0>
constexpr std::size_t field_count() {
  if constexpr (has_fields<T>(std::make_index_sequence<N + 1>{}))
    return field_count<T, N + 1>();
  else
    return N;
}

template <class T>
auto fields_of(const T& m) {
  constexpr auto kCount = field_count<T>();
  static_assert(kCount <= 11);
  if constexpr (kCount == 0) {
    return std::tuple<>{};
  } else if constexpr (kCount == 1) {
    const auto& [a] = m;
    return std::tie(a);
  } else if constexpr (kCount == 2) {
    const auto& [a, b] = m;
    return std::tie(a, b);
  } else if constexpr (kCount == 3) {
    const auto& [a, b, c] = m;
    return std::tie(a, b, c);
  } else if constexpr (kCount == 4) {
    const auto& [a, b, c, d] = m;
    return std::tie(a, b, c, d);
  } else if constexpr (kCount == 5) {
    const auto& [a, b, c, d, e] = m;
    return std::tie(a, b, c, d, e);
  } else if constexpr (kCount == 6) {
    const auto& [a, b, c, d, e, f] = m;
    return std::tie(a, b, c, d, e, f);
  } else if constexpr (kCount == 7) {
    const auto& [a, b, c, d, e, f, g] = m;
    return std::tie(a, b, c, d, e, f, g);
  } else if constexpr (kCount == 9) {
    const auto& [a, b, c, d, e, f, g, h, i] = m;
    return std::tie(a, b, c, d, e, f, g, h, i);
  } else if constexpr (kCount == 10) {
    const auto& [a, b, c, d, e, f, g, h, i, j] = m;
    return std::tie(a, b, c, d, e, f, g, h, i, j);
  } else {
    static_assert(kCount == 11);
    const auto& [a, b, c, d, e, f, g, h, i, j, k] = m;
    return std::tie(a, b, c, d, e, f, g, h, i, j, k);
  }
}

template <class T>
concept Comparable = requires(const T& a, const T& b) { a == b; };

inline bool equal(const AnnotationsPtr& a, const AnnotationsPtr& b) {
  return a == b || (a != nullptr && b != nullptr && *a == *b);
}
inline bool equal(const P2PSpecPtr& a, const P2PSpecPtr& b) {
  return a == b || (a != nullptr && b != nullptr && *a == *b);
}
inline bool equal(const Payload& a, const Payload& b) { return is_none(a) ? is_none(b) : a == b; }
template <class T>
bool equal(const T& a, const T& b);
inline bool equal(const std::vector<GraphTask>& a, const std::vector<GraphTask>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!equal(a[i], b[i])) return false;
  }
  return true;
}
template <class T>
bool equal(const T& a, const T& b) {
  if constexpr (requires { std::variant_size<T>::value; }) {
    return a.index() == b.index() &&
           std::visit(
               [&b](const auto& m) { return equal(m, std::get<std::decay_t<decltype(m)>>(b)); }, a);
  } else if constexpr (std::is_class_v<T> && std::is_aggregate_v<T> && !Comparable<T>) {
    const auto left = fields_of(a);
    const auto right = fields_of(b);
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return (equal(std::get<I>(left), std::get<I>(right)) && ...);
    }(std::make_index_sequence<std::tuple_size_v<decltype(left)>>{});
  } else {
    return a == b;
  }
}

// ---- Reading by direction -----------------------------------------------------------------------

template <class Variant>
Result<std::vector<Variant>> read_as(const wire::Message& message, bool* ends = nullptr) {
  if constexpr (std::is_same_v<Variant, FromClient>)
    return read_from_client(message, ends);
  else if constexpr (std::is_same_v<Variant, ToClient>)
    return read_to_client(message, ends);
  else if constexpr (std::is_same_v<Variant, FromWorker>)
    return read_from_worker(message, ends);
  else
    return read_to_worker(message, ends);
}

template <class Variant>
wire::Message batch_of(const std::vector<Variant>& messages, Style style) {
  Batch batch{style};
  for (const auto& message : messages) batch.add(message);
  return wire::Message{batch.take()};
}

// ---- Random messages ----------------------------------------------------------------------------

class RandomMessages {
 public:
  RandomMessages(std::uint64_t seed, Style style) : engine_(seed), style_(style) {}

  template <class Variant>
  Variant any() {
    return any_of<Variant>(below(std::variant_size_v<Variant>),
                           std::make_index_sequence<std::variant_size_v<Variant>>{});
  }

  std::uint64_t below(std::uint64_t end) { return engine_() % end; }

  Key key() {
    switch (below(6)) {
      case 0:
        return Key::integer(static_cast<std::int64_t>(below(300)) - 100);
      case 1:
        return encoded_key(wire::Value{wire::Value::Array{text(), number(), 1.5}});
      case 2:
        return encoded_key(wire::Value{wire::Value::Binary{text()}});
      default:
        return Key{text() + std::to_string(below(1000))};
    }
  }
  Payload payload() {
    Payload out;
    switch (below(5)) {
      case 0:
        return out;
      case 1:
        return inlined(wire::Value{wire::Value::Array{text(), number(), nullptr, true}});
      case 2:
        return inlined(wire::Value::object({{"nested", serialized()}, {"n", number()}}));
      case 3:
        return serialized();
      default:
        out = serialized();
        out.kind = Payload::Kind::pickled;
        return out;
    }
  }

 private:
  template <class Variant, std::size_t... I>
  Variant any_of(std::uint64_t place, std::index_sequence<I...>) {
    Variant out;
    ((place == I ? fill(out.template emplace<I>()) : void()), ...);
    return out;
  }

  static Key encoded_key(const wire::Value& value) {
    return Key::from_msgpack(wire::encode(value)[0].view());
  }
  std::string text() { return std::string(below(45), static_cast<char>('a' + below(26))); }
  std::int64_t number() {
    return static_cast<std::int64_t>(engine_() >> below(64)) * (below(2) == 0 ? 1 : -1);
  }
  double real() { return below(4) == 0 ? 0 : static_cast<double>(number()) / 1000; }

  Payload serialized() {
    Payload out;
    const auto frame_count = below(3);
    for (std::uint64_t i = 0; i < frame_count; ++i) out.frames.push_back(wire::Buffer::own(text()));
    out.header = wire::encode(wire::Value::object(
        {{"serializer", text()}, {"num-sub-frames", static_cast<std::int64_t>(frame_count)}}))[0];
    return out;
  }

  AnnotationsPtr annotations() {
    if (below(3) == 0) return nullptr;
    if (below(2) == 0 && !annotations_.empty()) return annotations_[below(annotations_.size())];
    Annotations out;
    out.priority = 1 + static_cast<std::int64_t>(below(9));
    if (below(2) == 0) out.retries = number();
    if (below(2) == 0) out.workers = {text(), text()};
    out.allow_other_workers = below(2) == 0;
    if (below(2) == 0) out.resources = {{"GPU", real()}, {text(), 2}};
    out.others = annotations_map(out);
    annotations_.push_back(std::make_shared<Annotations>(std::move(out)));
    return annotations_.back();
  }

  void fill(Key& out) { out = key(); }
  void fill(Payload& out) { out = payload(); }
  void fill(std::string& out) { out = text(); }
  void fill(std::int64_t& out) { out = number(); }
  void fill(double& out) { out = real(); }
  void fill(bool& out) { out = below(2) == 0; }
  void fill(Priority& out) { out = {number(), number(), number()}; }
  void fill(AnnotationsPtr& out) { out = annotations(); }
  void fill(WorkerStatus& out) { out = static_cast<WorkerStatus>(below(13)); }
  void fill(Resources& out) {
    if (below(2) == 0) out = {{"GPU", 1.5}, {text() + "x", real()}};
  }
  void fill(std::optional<Seconds>& out) {
    if (below(2) == 0) out = real();
  }
  template <class T>
  void fill(std::vector<T>& out) {
    out.resize(below(5));
    for (auto& item : out) fill(item);
  }
  template <class A, class B>
  void fill(std::pair<A, B>& out) {
    fill(out.first);
    fill(out.second);
  }
  // The maps of the plain form cannot say a key twice.
  void fill(std::vector<Dependency>& out) {
    out.resize(below(5));
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = {Key{text() + "#" + std::to_string(i)}, {}, number()};
    for (auto& dependency : out) {
      for (auto n = below(4); n > 0; --n)
        dependency.workers.push_back("tcp://10.0.0.1:" + std::to_string(8000 + below(70)));
    }
  }
  void fill(StartStop& out) { out = {text(), real(), real(), text()}; }
  void fill(GraphTask& out) {
    out.key = key();
    while (is_none(out.run_spec)) fill(out.run_spec);
    fill(out.annotations);
    out.order = number();
    if (below(8) == 0) out.p2p = p2p();
  }
  P2PSpecPtr p2p() {
    auto out = std::make_shared<P2PSpec>();
    out->spec = bytes();
    out->npartitions = 1 + static_cast<std::int64_t>(below(20));
    for (std::int64_t i = 0; i < out->npartitions; ++i) {
      const std::string tuple{'\x92', static_cast<char>(i), '\x03'};
      out->partitions.emplace_back(below(2) == 0 ? Key::integer(i) : Key::from_msgpack(tuple), i);
    }
    return out;
  }
  void fill(UpdateGraph& out) {
    out.tasks.resize(below(30));
    for (std::size_t i = 0; i < out.tasks.size(); ++i) {
      fill(out.tasks[i]);
      if (below(2) == 0) out.tasks[i].order = static_cast<std::int64_t>(i);
    }
    for (auto& task : out.tasks) {
      for (auto n = below(4); n > 0; --n)
        task.dependencies.push_back(below(4) == 0 ? key() : out.tasks[below(out.tasks.size())].key);
    }
    fill(out.keys);
    for (const auto& task : out.tasks) {
      if (below(2) == 0) out.keys.push_back(task.key);
    }
    if (below(2) == 0) fill(out.submitting_task);
    fill(out.fifo_timeout);
    fill(out.actors);
    fill(out.stimulus_id);
  }
  void fill(OtherMessage& out) {
    out.op = "extension-op";
    out.whole = inlined(wire::Value::object({{"op", out.op}, {"data", serialized()}, {"n", 1}}));
    if (below(2) == 0) out.whole = inlined(wire::Value::object({{"x", text()}, {"op", out.op}}));
  }
  void fill(StreamStart& out) {
    if (below(2) == 0) out.warnings = inlined(wire::Value::object({{"warning", text()}}));
  }
  void fill(HeartbeatClient&) {}
  void fill(CloseClient&) {}
  void fill(RestartClient&) {}
  void fill(KeepAlive&) {}
  void fill(ComputeTask& m) {
    fill_all(m.key, m.run_id, m.priority, m.stimulus_id, m.dependencies, m.run_spec,
             m.resource_restrictions, m.actor, m.annotations, m.span_id);
    if (style_ == Style::dense) fill(m.duration);  // Not on the stock wire.
  }
  void fill(KeyInMemory& m) {
    fill_all(m.key, m.type, m.workers);
    if (style_ == Style::dense) m.value = bytes();
  }
  void fill(TaskFinished& m) {
    fill_all(m.key, m.run_id, m.stimulus_id, m.nbytes, m.type, m.typename_, m.metadata, m.thread,
             m.startstops);
    if (style_ == Style::dense) m.value = bytes();
  }
  std::string bytes() {
    std::string out(below(40), '\0');
    for (char& byte : out) byte = static_cast<char>(below(256));
    return out;
  }
  template <class M>
    requires std::is_aggregate_v<M>
  void fill(M& message) {
    constexpr auto kCount = field_count<M>();
    if constexpr (kCount == 1) {
      auto& [a] = message;
      fill_all(a);
    } else if constexpr (kCount == 2) {
      auto& [a, b] = message;
      fill_all(a, b);
    } else if constexpr (kCount == 3) {
      auto& [a, b, c] = message;
      fill_all(a, b, c);
    } else if constexpr (kCount == 4) {
      auto& [a, b, c, d] = message;
      fill_all(a, b, c, d);
    } else {
      static_assert(kCount == 9);
      auto& [a, b, c, d, e, f, g, h, i] = message;
      fill_all(a, b, c, d, e, f, g, h, i);
    }
  }
  template <class... T>
  void fill_all(T&... fields) {
    (fill(fields), ...);
  }

  std::mt19937_64 engine_;
  Style style_;
  std::vector<AnnotationsPtr> annotations_;
};

}  // namespace rask::protocol::testing
