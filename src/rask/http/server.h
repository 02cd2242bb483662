#pragma once
// A small HTTP/1.1 server on a thread of its own.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "rask/base/ids.h"
#include "rask/base/result.h"

namespace rask::http {

struct Request {
  std::string method;  // "GET", "HEAD", "POST" …
  std::string path;    // "/json/identity.json", as it was sent, without the query
  std::string query;   // What stands behind "?".
  std::string body;
};

struct Response {
  unsigned status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
};

// Answers one request; from any thread, once. Does nothing when the asker has gone meanwhile.
using Respond = std::function<void(Response)>;
// Called on the server's thread, which it must not keep: what takes long answers later.
using Handler = std::function<void(const Request&, Respond)>;

struct Options {
  std::string host;  // Digits; empty: all interfaces.
  std::uint16_t port = 0;
  bool any_port_if_taken = false;  // Listen on another one then.
  Seconds timeout = 30;            // For a request to come in, or an answer to be taken.
  std::size_t connections_max = 256;
  std::size_t body_bytes_max = std::size_t{1} << 20;
};

class Server {
 public:
  //   errors   invalid_argument: no such host, port in use, no permission
  static Result<std::unique_ptr<Server>> start(const Options& options, Handler handler);
  // Hangs up. No handler runs any more when it returns.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::uint16_t port() const;

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// "host:port", ":port", "port" and "host", as Dask's --dashboard-address takes them.
//   errors   invalid_argument
Result<std::pair<std::string, std::uint16_t>> parse_host_port(const std::string& text);

}  // namespace rask::http
