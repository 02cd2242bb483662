#pragma once
// Messages as lines of text, for transcripts and for the trace of a failing seed.
#include <string>
#include <vector>

#include "rask/protocol/messages.h"

namespace rask::sim {

std::string join(const std::vector<Key>& keys);
std::string describe(const protocol::ToWorker& message);
std::string describe(const protocol::FromWorker& message);
std::string describe(const protocol::ToClient& message);
std::string describe(const protocol::FromClient& message);

}  // namespace rask::sim
