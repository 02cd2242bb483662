#include "rask/scrape/fetch.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include <atomic>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

namespace rask::scrape {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

std::string answer(std::string_view status, std::string_view headers, std::string_view body) {
  return "HTTP/1.1 " + std::string{status} + "\r\n" + std::string{headers} +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string{body};
}

std::string gzip(std::string_view text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(text.size() + 100, '\0');
  std::string in{text};
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

// Serves fixed answers on a free port of the loopback: the whole bytes for each path. A path that
// is missing gets no answer at all.
class TestServer {
 public:
  explicit TestServer(std::map<std::string, std::string> answers) : answers_(std::move(answers)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length), 0);
    EXPECT_EQ(::listen(listener_, 16), 0);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread{[this] { accept_all(); }};
  }
  ~TestServer() {
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    ::close(listener_);
    {
      const std::lock_guard lock{mutex_};
      for (const int peer : peers_) ::shutdown(peer, SHUT_RDWR);
    }
    for (auto& thread : threads_) thread.join();
    for (const int peer : peers_) ::close(peer);
  }

  std::string url(std::string_view path) const {
    return "http://127.0.0.1:" + std::to_string(port_) + std::string{path};
  }
  int connections() const { return connections_; }
  std::string last_request() const {
    const std::lock_guard lock{mutex_};
    return last_request_;
  }

 private:
  void accept_all() {
    while (true) {
      const int peer = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (peer < 0) return;
      ++connections_;
      {
        const std::lock_guard lock{mutex_};
        peers_.push_back(peer);
      }
      threads_.emplace_back([this, peer] { serve(peer); });
    }
  }

  void serve(int peer) {
    std::string input;
    char chunk[4096];
    while (true) {
      const auto got = ::recv(peer, chunk, sizeof chunk, 0);
      if (got <= 0) return;
      input.append(chunk, static_cast<std::size_t>(got));
      const std::size_t end = input.find("\r\n\r\n");
      if (end == std::string::npos) continue;
      if (!respond(peer, input.substr(0, end))) return;
      input.erase(0, end + 4);
    }
  }

  bool respond(int peer, const std::string& request) {
    {
      const std::lock_guard lock{mutex_};
      last_request_ = request;
    }
    const std::size_t start = request.find(' ') + 1;
    const auto found = answers_.find(request.substr(start, request.find(' ', start) - start));
    if (found == answers_.end()) return true;
    std::string_view left = found->second;
    while (!left.empty()) {
      const auto sent = ::send(peer, left.data(), left.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      left.remove_prefix(static_cast<std::size_t>(sent));
    }
    // Without a length the end of the connection is the end of the body.
    const bool ends = found->second.find("Connection: close") != std::string::npos;
    if (ends) ::shutdown(peer, SHUT_RDWR);
    return !ends;
  }

  const std::map<std::string, std::string> answers_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<int> connections_ = 0;
  mutable std::mutex mutex_;
  std::string last_request_;
  std::vector<int> peers_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

constexpr std::string_view kHtmlType = "Content-Type: text/html; charset=utf-8\r\n";

Page get(const std::string& url) {
  return fetch({.url = url, .timeout = 10, .user_agent = "rask-test/1", .html_only = true});
}

TEST(Fetch, a_page_arrives_whole) {
  TestServer server{{{"/a?b", answer("200 OK", kHtmlType, "<p>hello")}}};
  const Page page = get(server.url("/a?b"));
  EXPECT_EQ(page.error, "");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.body, "<p>hello");
  EXPECT_EQ(page.content_type, "text/html; charset=utf-8");
  EXPECT_EQ(page.url, server.url("/a?b"));
  EXPECT_EQ(page.final_url, page.url);
  EXPECT_GT(page.elapsed, 0);
  EXPECT_THAT(server.last_request(), HasSubstr("User-Agent: rask-test/1"));
  EXPECT_THAT(server.last_request(), HasSubstr("Accept-Encoding: "));
}

TEST(Fetch, one_thread_uses_one_connection_for_many_pages) {
  TestServer server{{{"/a", answer("200 OK", kHtmlType, "a")},
                     {"/b", answer("404 Not Found", kHtmlType, "gone")}}};
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(get(server.url("/a")).body, "a");
    EXPECT_EQ(get(server.url("/b")).status, 404);
  }
  EXPECT_EQ(server.connections(), 1);
}

TEST(Fetch, errors_of_the_server_are_results) {
  TestServer server{{{"/404", answer("404 Not Found", kHtmlType, "<p>no")},
                     {"/500", answer("500 Oops", kHtmlType, "<p>no")},
                     {"/304", "HTTP/1.1 304 Not Modified\r\n\r\n"}}};
  EXPECT_EQ(get(server.url("/404")).error, "HTTP 404");
  EXPECT_EQ(get(server.url("/404")).body, "");
  EXPECT_EQ(get(server.url("/500")).error, "HTTP 500");
  EXPECT_EQ(get(server.url("/500")).status, 500);
  EXPECT_EQ(get(server.url("/304")).error, "HTTP 304");
}

TEST(Fetch, compressed_bodies_are_unpacked_and_limited_unpacked) {
  const std::string text(100'000, 'x');
  TestServer server{
      {{"/", answer("200 OK", std::string{kHtmlType} + "Content-Encoding: gzip\r\n", gzip(text))}}};
  EXPECT_EQ(get(server.url("/")).body, text);
  const Page bomb = fetch({.url = server.url("/"), .bytes_max = 99'999});
  EXPECT_THAT(bomb.error, HasSubstr("larger than"));
  EXPECT_EQ(bomb.body, "");
}

TEST(Fetch, a_body_may_be_as_large_as_the_limit_and_not_larger) {
  TestServer server{{{"/", answer("200 OK", kHtmlType, std::string(1000, 'x'))},
                     {"/endless",
                      "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
                      "Connection: close\r\n\r\n" +
                          std::string(100'000, 'x')},
                     {"/error", "HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n" +
                                    std::string(100'000, 'x')}}};
  EXPECT_EQ(fetch({.url = server.url("/"), .bytes_max = 1000}).error, "");
  EXPECT_THAT(fetch({.url = server.url("/"), .bytes_max = 999}).error,
              HasSubstr("larger than 0.98 kiB, the limit"));
  EXPECT_THAT(fetch({.url = server.url("/endless"), .bytes_max = 1000}).error,
              HasSubstr("larger than"));
  EXPECT_EQ(fetch({.url = server.url("/error"), .bytes_max = 1000}).error, "HTTP 404");
}

TEST(Fetch, what_is_no_html_is_refused_when_asked) {
  TestServer server{{{"/png", answer("200 OK", "Content-Type: image/png\r\n", "x")},
                     {"/empty", answer("200 OK", "Content-Type: image/png\r\n", "")},
                     {"/untyped", answer("200 OK", "", "<p>")}}};
  EXPECT_EQ(get(server.url("/png")).error, "not HTML: image/png");
  EXPECT_EQ(get(server.url("/empty")).error, "not HTML: image/png");
  EXPECT_EQ(get(server.url("/untyped")).error, "");
  EXPECT_EQ(fetch({.url = server.url("/png")}).body, "x");
}

TEST(Fetch, redirects_are_results_or_followed_within_the_limit) {
  TestServer server{{{"/a", answer("302 Found", "Location: b?x#part\r\n", "moved")},
                     {"/b?x", answer("301 Moved", "Location: /c\r\n", "")},
                     {"/c", answer("200 OK", kHtmlType, "there")},
                     {"/nowhere", answer("302 Found", "", "")},
                     {"/mail", answer("302 Found", "Location: mailto:a@b\r\n", "")},
                     {"/loop", answer("302 Found", "Location: /loop\r\n", "")}}};
  const Page plain = get(server.url("/a"));
  EXPECT_EQ(plain.status, 302);
  EXPECT_EQ(plain.error, "");
  EXPECT_EQ(plain.location, server.url("/b?x"));
  EXPECT_EQ(plain.final_url, server.url("/a"));
  const Page followed = fetch({.url = server.url("/a"), .redirects_max = 5});
  EXPECT_EQ(followed.body, "there");
  EXPECT_EQ(followed.final_url, server.url("/c"));
  EXPECT_EQ(fetch({.url = server.url("/a"), .redirects_max = 2}).error, "");
  EXPECT_EQ(fetch({.url = server.url("/a"), .redirects_max = 1}).error, "more than 1 redirects");
  EXPECT_EQ(fetch({.url = server.url("/loop"), .redirects_max = 5}).error, "more than 5 redirects");
  EXPECT_THAT(get(server.url("/nowhere")).error, HasSubstr("redirect to no page"));
  EXPECT_THAT(get(server.url("/mail")).error, HasSubstr("redirect to no page"));
}

TEST(Fetch, silence_ends_with_the_time_out) {
  TestServer server{{{"/half", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"}}};
  for (const char* path : {"/silent", "/half"}) {
    const Page page = fetch({.url = server.url(path), .timeout = 0.1});
    EXPECT_EQ(page.error, "timed out after 100.00 ms") << path;
    EXPECT_EQ(page.body, "");
  }
}

TEST(Fetch, a_cut_connection_is_an_error_and_half_a_page_is_none) {
  TestServer server{
      {{"/cut", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nhalf"},
       {"/nothing", "Connection: close"}}};
  const Page page = get(server.url("/cut"));
  EXPECT_THAT(page.error, HasSubstr("96 bytes remaining"));
  EXPECT_EQ(page.body, "");
  EXPECT_NE(get(server.url("/nothing")).error, "");
  EXPECT_EQ(get(server.url("/nothing")).status, 0);
}

TEST(Fetch, a_host_that_is_not_there_is_an_error) {
  std::string gone;
  {
    const TestServer server{{}};
    gone = server.url("/");
  }
  const Page page = get(gone);
  EXPECT_EQ(page.status, 0);
  EXPECT_THAT(page.error, HasSubstr("connect"));
  EXPECT_THAT(get("http://no-such-host.invalid/").error,
              AnyOf(HasSubstr("resolve"), HasSubstr("connect")));
}

}  // namespace
}  // namespace rask::scrape
