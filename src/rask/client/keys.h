#pragma once
// Keys and lists in the trees of RPC requests and replies; random names; files. Internal to this
// room.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rask/client/errors.h"
#include "rask/graph/key.h"
#include "rask/wire/payload.h"
#include "rask/wire/value.h"

namespace rask::internal {

wire::Value value_of(const Key& key);
Key key_of(const wire::Value& value);
wire::Value list_of(const std::vector<Key>& keys);
wire::Value list_of(const std::vector<std::string>& texts);
// nil for an empty list: what Dask's handlers take as "all".
wire::Value list_or_nil(const std::vector<std::string>& texts);
std::vector<std::string> texts_of(const wire::Value& list);  // Keys as people write them.
std::string text_of(const wire::Value& value);
// What a worker answered with {"status": "error"}, as the failure of that key.
std::optional<TaskError> failure_in(const wire::Value& reply, const std::string& worker,
                                    const std::string& key);

void write_or_throw(const std::string& path, std::string_view content);  // throws  ClientError

std::uint64_t random_bits();
std::string random_name();  // 32 hexadecimal digits.

}  // namespace rask::internal
