#pragma once
// Do the packages of those that come fit together?    source: distributed/versions.py
#include <string>
#include <string_view>
#include <vector>

#include "rask/wire/value.h"

namespace rask::scheduler_server {

// What to warn a client or worker of, as a text with a table; empty: nothing. Each Value is a map
// {package: version or nil}. One that is empty says nothing and is not compared: so it is with
// native peers, and with the scheduler's Python before it runs.
std::string version_warning(std::string_view source_name, const wire::Value& source,
                            const wire::Value& scheduler, const std::vector<wire::Value>& workers);

}  // namespace rask::scheduler_server
