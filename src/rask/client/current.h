#pragma once
// The clients of this process that get_client() finds. Internal to this room.
namespace rask {

class Client;

namespace internal {

void add_current(Client* client);
void remove_current(Client* client);

}  // namespace internal
}  // namespace rask
