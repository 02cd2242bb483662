#pragma once
// The clients of this process that get_client() finds. Internal to this room.
namespace rask {

class Client;

namespace internal {

void add_current(Client* client);
void remove_current(Client* client);
// Graphs are not computed there any more without being told.
void forget_scheduler(const Client* client);
// What get_client() gives; null where it throws.
Client* current_client();

}  // namespace internal
}  // namespace rask
