// Stock Dask as the peer. Runs when RASK_PYTHON names a Python that has distributed; the other side
// is interop_test.py.
#include <gmock/gmock.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "rask/comm/test_rig.h"

namespace rask::comm {
namespace {

using wire::Value;

// A Python process that ends with the test at the latest.
class Python {
 public:
  explicit Python(const std::vector<std::string>& arguments) {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    child_ = ::fork();
    if (child_ == 0) {
      ::alarm(60);
      ::dup2(ends[1], STDOUT_FILENO);
      ::close(ends[0]);
      std::vector<std::string> words{std::getenv("RASK_PYTHON"), RASK_INTEROP_SCRIPT};
      words.insert(words.end(), arguments.begin(), arguments.end());
      std::vector<char*> argv;
      for (auto& word : words) argv.push_back(word.data());
      argv.push_back(nullptr);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    ::close(ends[1]);
    out_ = ::fdopen(ends[0], "r");
  }
  ~Python() {
    if (child_ > 0) {
      ::kill(child_, SIGKILL);
      ::waitpid(child_, nullptr, 0);
    }
    std::fclose(out_);
  }
  Python(const Python&) = delete;
  Python& operator=(const Python&) = delete;

  std::string line() {
    char text[512] = {};
    if (std::fgets(text, sizeof text, out_) == nullptr) return {};
    text[std::strcspn(text, "\n")] = '\0';
    return text;
  }
  int wait() {
    int status = 0;
    ::waitpid(std::exchange(child_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t child_ = -1;
  std::FILE* out_ = nullptr;
};

class Interop : public testing::Test {
 protected:
  void SetUp() override {
    if (std::getenv("RASK_PYTHON") == nullptr) GTEST_SKIP() << "RASK_PYTHON is not set";
  }
  Rig rig;
};

// One kind of socket after the other: the PEM files of a temporary Security are in `folder`.
class InteropOver : public Interop, public testing::WithParamInterface<std::string> {
 protected:
  InteropOver() {
    if (GetParam() == "tcp") return;
    const auto security = Security::temporary();
    options = over_tls(security);
    std::filesystem::create_directories(folder);
    std::ofstream{folder / "cert.pem"} << security.tls_ca_file;
    std::ofstream{folder / "key.pem"} << security.tls_client_key;
  }
  ~InteropOver() override { std::filesystem::remove_all(folder); }

  std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("rask-interop-" + std::to_string(::getpid()));
  Options options;
};
INSTANTIATE_TEST_SUITE_P(, InteropOver, testing::Values("tcp", "tls"),
                         [](const auto& which) { return which.param; });

// The stock client sends messages of all shapes, wants each back as it was, and checks them itself.
TEST_P(InteropOver, a_stock_client_talks_to_our_listener) {
  ConnectionPtr server;
  int messages = 0;
  auto listener = listen(rig.loop, any_port(options), options, [&](ConnectionPtr came) {
                    server = std::move(came);
                    EXPECT_FALSE(server->peer().dense);
                    server->start(
                        [&](wire::Message&& message) {
                          ++messages;
                          server->send(std::move(message).take_frames());
                        },
                        [&](const Error&) { rig.loop.stop(); });
                  }).value();
  Python python{{"client", folder, listener->address()}};
  rig.run();
  EXPECT_EQ(python.line(), "ok");
  EXPECT_EQ(python.wait(), 0);
  EXPECT_GT(messages, 5);
}

// A stock Server with handlers: answers, errors, and large data that it sends in split frames.
TEST_P(InteropOver, our_pool_asks_a_stock_server) {
  Python python{{"server", folder, any_port(options)}};
  const auto address = python.line();
  RpcPool pool{rig.loop, options};
  std::map<std::string, Result<Value>> replies;
  for (const char* op : {"echo", "fail", "missing", "large"}) {
    auto asked = wire::encode(Value::object({{"op", op}, {"x", "text"}, {"reply", true}}));
    pool.call(address, std::move(asked), 20, [&, op](Result<wire::Message> reply) {
      replies.emplace(op, reply.ok() ? reply_value(reply.value()) : reply.error());
      if (replies.size() == 4) rig.loop.stop();
    });
  }
  rig.run();
  EXPECT_EQ(replies.at("echo").value()["x"].as_text(), "text");
  EXPECT_EQ(replies.at("fail").error().message, "ValueError('as you wished')");
  ASSERT_TRUE(replies.at("large").ok()) << replies.at("large").error().message;
  const auto* payload = replies.at("large").value()["data"].get_if<wire::Payload>();
  ASSERT_NE(payload, nullptr);
  EXPECT_GT(payload->nbytes(), std::size_t{200'000'000});
}

}  // namespace
}  // namespace rask::comm
