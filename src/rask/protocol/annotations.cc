#include "rask/protocol/annotations.h"

#include <algorithm>
#include <cmath>

#include "rask/wire/msgpack.h"

namespace rask::protocol {

namespace {

// Python numbers; reals are cut to whole ones, NaN and infinity do not count.
void read_integer(wire::Reader& reader, std::int64_t& out) {
  const auto type = reader.peek();
  if (type == wire::Type::integer) {
    wire::Reader probe = reader;
    const auto value = probe.integer();
    if (probe.ok()) out = value;
  } else if (type == wire::Type::real) {
    wire::Reader probe = reader;
    const double value = std::floor(probe.real());
    if (std::fabs(value) < 9e18) out = static_cast<std::int64_t>(value);
  }
  reader.skip();
}

// One text or a list of texts.
void read_texts(wire::Reader& reader, std::vector<std::string>& out) {
  if (reader.peek() == wire::Type::text) {
    out.emplace_back(reader.text());
    return;
  }
  if (reader.peek() != wire::Type::array) {
    reader.skip();
    return;
  }
  const auto count = reader.array();
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    if (reader.peek() == wire::Type::text)
      out.emplace_back(reader.text());
    else
      reader.skip();
  }
}

// A list, or Python's set: {"__Set__": True, "as-list": […]}.
void read_workers(wire::Reader& reader, std::vector<std::string>& out) {
  if (reader.peek() != wire::Type::map) return read_texts(reader, out);
  const auto count = reader.map();
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    const bool is_list =
        reader.peek() == wire::Type::text && wire::Reader{reader}.text() == "as-list";
    reader.skip();
    if (is_list)
      read_texts(reader, out);
    else
      reader.skip();
  }
}

void read_amounts(wire::Reader& reader, Resources& out) {
  if (reader.peek() != wire::Type::map) {
    reader.skip();
    return;
  }
  const auto count = reader.map();
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    if (reader.peek() != wire::Type::text) {
      reader.skip();
      reader.skip();
      continue;
    }
    const auto name = reader.text();
    const auto type = reader.peek();
    if (type == wire::Type::integer || type == wire::Type::real)
      out[std::string{name}] = reader.real();
    else
      reader.skip();
  }
}

void read_annotation(std::string_view name, wire::Reader& reader, Annotations& out) {
  if (name == "priority") return read_integer(reader, out.priority);
  if (name == "retries") return read_integer(reader, out.retries);
  if (name == "workers") return read_workers(reader, out.workers);
  if (name == "resources") return read_amounts(reader, out.resources);
  if (name == "allow_other_workers" && reader.peek() == wire::Type::boolean) {
    out.allow_other_workers = reader.boolean();
    return;
  }
  reader.skip();
}

}  // namespace

AnnotationsPtr parse_annotations(wire::Buffer map) {
  wire::Reader reader{map.view()};
  if (reader.peek() != wire::Type::map) return nullptr;
  const auto count = reader.map();
  if (count == 0) return nullptr;
  auto annotations = std::make_shared<Annotations>();
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    if (reader.peek() == wire::Type::text) {
      const auto name = reader.text();
      read_annotation(name, reader, *annotations);
    } else {
      reader.skip();
      reader.skip();
    }
  }
  if (!reader.ok()) return nullptr;
  annotations->others = std::move(map);
  return annotations;
}

wire::Buffer annotations_map(const Annotations& annotations) {
  if (!annotations.others.empty()) return annotations.others;
  const auto& a = annotations;
  wire::Writer writer;
  writer.map(static_cast<std::size_t>(a.priority != 0) + (a.retries != 0) + !a.workers.empty() +
             a.allow_other_workers + !a.resources.empty());
  if (a.priority != 0) {
    writer.text("priority");
    writer.integer(a.priority);
  }
  if (a.retries != 0) {
    writer.text("retries");
    writer.integer(a.retries);
  }
  if (!a.workers.empty()) {
    writer.text("workers");
    writer.array(a.workers.size());
    for (const auto& worker : a.workers) writer.text(worker);
  }
  if (a.allow_other_workers) {
    writer.text("allow_other_workers");
    writer.boolean(true);
  }
  if (!a.resources.empty()) {
    writer.text("resources");
    writer.map(a.resources.size());
    for (const auto& [name, amount] : a.resources) {
      writer.text(name);
      writer.real(amount);
    }
  }
  return wire::Buffer::own(writer.take());
}

}  // namespace rask::protocol
