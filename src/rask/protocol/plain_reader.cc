#include "rask/protocol/plain_reader.h"

#include <algorithm>

namespace rask::protocol {

// ---- FieldMap -----------------------------------------------------------------------------------

FieldMap::FieldMap(wire::Reader& reader) {
  const auto count = reader.map();
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    const bool is_named = reader.peek() == wire::Type::text;
    const auto name = is_named ? reader.text() : reader.skip();
    const auto value = reader.skip();
    if (!is_named || !reader.ok()) continue;
    add({name, value});
    if (name == "op" && wire::Reader{value}.peek() == wire::Type::text)
      op_ = wire::Reader{value}.text();
  }
}

void FieldMap::add(const Field& field) {
  if (few_count_ < kFew) {
    few_[few_count_++] = field;
    return;
  }
  if (more_.empty()) more_.assign(few_.begin(), few_.end());
  more_.push_back(field);
}

std::optional<std::string_view> FieldMap::find(std::string_view name) const {
  const auto all = fields();
  auto at = next_;
  for (std::size_t looked = 0; looked < all.size(); ++looked, ++at) {
    if (at >= all.size()) at = 0;
    if (all[at].name != name) continue;
    next_ = at + 1;
    return all[at].value;
  }
  return std::nullopt;
}

// ---- PlainReader --------------------------------------------------------------------------------

void PlainReader::fail(const char* name, bool is_missing) {
  if (bad_field_ != nullptr) return;
  bad_field_ = name;
  bad_is_missing_ = is_missing;
}

void PlainReader::absent_if_empty(const char* name, std::vector<Address>& value) {
  const auto bytes = fields_.find(name);
  if (!bytes) return;
  wire::Reader reader{*bytes};
  if (reader.nil()) return;
  read_texts(reader, value);
  if (!reader.ok()) fail(name, false);
}

void PlainReader::map_if_empty(const char* name, Payload& value) {
  const auto bytes = fields_.find(name);
  if (!bytes || *bytes == "\x80") return;
  field(name, value);
}

void PlainReader::topics(const char* name, std::vector<std::string>& topics) {
  const auto bytes = fields_.find(name);
  if (!bytes) return fail(name, true);
  wire::Reader reader{*bytes};
  if (reader.peek() == wire::Type::text)
    topics.emplace_back(reader.text());
  else
    read_texts(reader, topics);
  if (!reader.ok()) fail(name, false);
}

void PlainReader::annotations(const char* name, AnnotationsPtr& annotations) {
  const auto bytes = fields_.find(name);
  if (!bytes || *bytes == "\x80" || *bytes == "\xc0") return;
  if (last_annotations_ != nullptr && last_annotations_->others.view() == *bytes) {
    annotations = last_annotations_;
    return;
  }
  if (wire::Reader{*bytes}.peek() != wire::Type::map) return fail(name, false);
  annotations = parse_annotations(payloads().message().frames()[0].slice(*bytes));
  last_annotations_ = annotations;
}

namespace {

// Finds the nbytes of who_has's keys. Both maps nearly always have the same order.
class SizeFinder {
 public:
  explicit SizeFinder(wire::Reader& reader) {
    const auto count = reader.map();
    sizes_.reserve(std::min<std::size_t>(count, kReserveMax));
    for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
      const auto key = reader.skip();
      sizes_.emplace_back(key, reader.integer());
    }
  }

  // 0 for a key that is not there. `place`: of the key in the other map.
  std::int64_t find(std::size_t place, std::string_view key) {
    if (!is_sorted_ && place < sizes_.size() && sizes_[place].first == key)
      return sizes_[place].second;
    if (!is_sorted_) std::sort(sizes_.begin(), sizes_.end());
    is_sorted_ = true;
    const auto found = std::lower_bound(
        sizes_.begin(), sizes_.end(), key,
        [](const auto& entry, std::string_view wanted) { return entry.first < wanted; });
    return found != sizes_.end() && found->first == key ? found->second : 0;
  }

 private:
  std::vector<std::pair<std::string_view, std::int64_t>> sizes_;
  bool is_sorted_ = false;
};

}  // namespace

void PlainReader::dependencies(std::vector<Dependency>& dependencies) {
  const auto who_has = fields_.find("who_has");
  if (!who_has || *who_has == "\xc0") return;
  const auto nbytes = fields_.find("nbytes").value_or("\x80");
  wire::Reader size_reader{nbytes == "\xc0" ? std::string_view{"\x80"} : nbytes};
  SizeFinder sizes{size_reader};
  if (!size_reader.ok()) return fail("nbytes", false);
  wire::Reader reader{*who_has};
  const auto count = reader.map();
  dependencies.reserve(std::min<std::size_t>(count, kReserveStringsMax));
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    auto& dependency = dependencies.emplace_back();
    dependency.key = read_key(reader);
    if (!reader.ok()) break;
    read_texts(reader, dependency.workers);
    dependency.nbytes = sizes.find(i, dependency.key.msgpack());
  }
  if (!reader.ok()) fail("who_has", false);
}

void PlainReader::graph(UpdateGraph& graph) {
  const auto bytes = fields_.find("rask-tasks");
  if (!bytes) return fail("rask-tasks", true);
  wire::Reader reader{*bytes};
  read_graph(payloads(), reader, graph.tasks);
  if (!reader.ok()) return fail("rask-tasks", false);
  required("keys", graph.keys);
}

void PlainReader::all_other_fields(Payload& fields) {
  std::size_t count = 0;
  fields_.each([&](const FieldMap::Field& field) { count += field.name != "op"; });
  if (count == 0) return;
  wire::MessageWriter others;
  others.root().map(count);
  fields_.each([&](const FieldMap::Field& field) {
    if (field.name == "op") return;
    others.root().text(field.name);
    others.root().raw(field.value);
  });
  auto frames = payloads().message().frames();
  frames[0] = std::move(others.take()[0]);
  const wire::Message message{std::move(frames)};
  PayloadReader payloads{message};
  wire::Reader reader{message.root()};
  fields = payloads.read(reader);
  if (!reader.ok()) fail("warning", false);
}

void PlainValues::get(wire::Reader& reader, WorkerStatus& status) {
  const auto known = parse_worker_status(reader.text());
  if (known)
    status = *known;
  else
    reader.fail();
}

void PlainValues::get(wire::Reader& reader,
                      std::vector<std::pair<Key, std::vector<Address>>>& who_has) {
  const auto count = reader.map();
  who_has.reserve(std::min<std::size_t>(count, kReserveStringsMax));
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    auto& [key, workers] = who_has.emplace_back();
    key = read_key(reader);
    read_texts(reader, workers);
  }
}

void PlainValues::get(wire::Reader& reader, std::vector<std::pair<Key, std::int64_t>>& nbytes) {
  const auto count = reader.map();
  nbytes.reserve(std::min<std::size_t>(count, kReserveMax));
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    auto& [key, bytes] = nbytes.emplace_back();
    key = read_key(reader);
    bytes = reader.integer();
  }
}

void PlainValues::get(wire::Reader& reader, std::vector<StartStop>& startstops) {
  const auto count = reader.array();
  startstops.reserve(std::min<std::size_t>(count, kReserveStringsMax));
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) get(reader, startstops.emplace_back());
}

void PlainValues::get(wire::Reader& reader, StartStop& startstop) {
  const auto count = reader.map();
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    if (reader.skip_text("action")) {
      startstop.action = reader.text();
    } else if (reader.skip_text("start")) {
      startstop.start = reader.real();
    } else if (reader.skip_text("stop")) {
      startstop.stop = reader.real();
    } else if (reader.text() == "source" && reader.peek() == wire::Type::text) {
      startstop.source = reader.text();
    } else {
      reader.skip();
    }
  }
}

}  // namespace rask::protocol
