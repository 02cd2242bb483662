#include <algorithm>
#include <string>

#include "rask/protocol/codec.h"
#include "rask/protocol/dense_reader.h"
#include "rask/protocol/plain_reader.h"

namespace rask::protocol {

namespace {

// A message is a few hundred bytes in memory and may be two on the wire: beyond this, memory grows
// as they come.
constexpr std::size_t kReserveMessagesMax = 4096;

constexpr std::string_view kCloseStream = "close-stream";    // The end of any stream.
constexpr std::string_view kStreamClosed = "stream-closed";  // A stock scheduler's to a client.

Error bad_field(std::string_view op, const char* field, bool is_missing) {
  return Error{ErrorCode::corrupt_message, "message " + std::string{op} + ": field " + field +
                                               (is_missing ? " is missing" : " has a wrong type")};
}

template <class Variant>
class BatchReader {
 public:
  BatchReader(const wire::Message& message, std::vector<Variant>& messages)
      : message_(message),
        reader_(message.root()),
        payloads_(message),
        dense_(message),
        messages_(messages) {}

  // Behind the messages that are there already.
  Result<Ok> read() {
    if (reader_.peek() == wire::Type::map) {
      read_plain();
    } else {
      const auto count = reader_.array();
      if (messages_.empty()) messages_.reserve(std::min<std::size_t>(count, kReserveMessagesMax));
      for (std::uint32_t i = 0; i < count && !failed() && !ended_; ++i) read_one();
    }
    if (error_) return *std::move(error_);
    if (!reader_.ok()) return Error{ErrorCode::corrupt_message, "batch is no list of messages"};
    if (!ended_ && !reader_.at_end())
      return Error{ErrorCode::corrupt_message, "bytes behind the batch"};
    return Ok{};
  }
  bool ended() const { return ended_; }

 private:
  using Type = wire::Type;

  bool failed() const { return error_.has_value() || !reader_.ok(); }

  void read_one() {
    if (reader_.peek() == Type::array) return read_dense();
    if (reader_.peek() == Type::map) return read_plain();
    // A stock peer may say "OK" where an RPC has become a stream.
    if (reader_.peek() == Type::text && reader_.text() == "OK") return;
    reader_.fail();
  }

  // ---- dense ----

  void read_dense() {
    const auto count = reader_.array();
    const auto number = reader_.integer();
    if (!reader_.ok() || count == 0) return reader_.fail();
    if (!read_dense_as(number, count - 1, std::make_index_sequence<std::variant_size_v<Variant>>{}))
      error_ = Error{ErrorCode::corrupt_message,
                     "no message has the number " + std::to_string(number) + " in this direction"};
  }

  template <std::size_t... I>
  bool read_dense_as(std::int64_t number, std::uint32_t field_count, std::index_sequence<I...>) {
    return (try_dense<I>(number, field_count) || ...);
  }

  template <std::size_t I>
  bool try_dense(std::int64_t number, std::uint32_t field_count) {
    using M = std::variant_alternative_t<I, Variant>;
    if constexpr (std::is_same_v<M, OtherMessage>) {
      return false;
    } else {
      if (number != Traits<M>::number) return false;
      DenseReader io{payloads_, dense_, reader_, field_count};
      describe(io, std::get<I>(messages_.emplace_back(std::in_place_index<I>)));
      if (io.bad_field() != nullptr)
        error_ = bad_field(Traits<M>::op, io.bad_field(), io.bad_is_missing());
      io.skip_rest();
      return true;
    }
  }

  // ---- plain ----

  void read_plain() {
    if (read_frequent(std::make_index_sequence<std::variant_size_v<Variant>>{})) return;
    auto begin = reader_;
    const FieldMap fields{reader_};
    if (!reader_.ok()) return;
    const auto op = fields.op();
    if (op == kCloseStream || op == kStreamClosed) {
      ended_ = true;
      return;
    }
    // An update-graph without lowered tasks is a stock client's: a pickled expression.
    const bool is_lowered = op != Traits<UpdateGraph>::op || fields.find("rask-tasks");
    if (is_lowered &&
        read_plain_as(op, fields, std::make_index_sequence<std::variant_size_v<Variant>>{}))
      return;
    read_other(op, fields, begin);
  }

  template <std::size_t... I>
  bool read_frequent(std::index_sequence<I...>) {
    return (try_frequent<I>() || ...);
  }

  // What is not as foreseen leaves everything as it was.
  template <std::size_t I>
  bool try_frequent() {
    using M = std::variant_alternative_t<I, Variant>;
    if constexpr (Frequent<M>) {
      static const auto field_count = [] {
        FieldCounter counter;
        M message;
        describe(counter, message);
        return counter.count;
      }();
      if (wire::Reader{reader_}.map() != field_count) return false;
      const auto payloads = payloads_;
      auto ahead = reader_;
      InOrderReader io{payloads_, ahead, Traits<M>::op};
      describe(io, std::get<I>(messages_.emplace_back(std::in_place_index<I>)));
      if (io.end()) {
        reader_ = ahead;
        return true;
      }
      messages_.pop_back();
      payloads_ = payloads;
    }
    return false;
  }

  template <std::size_t... I>
  bool read_plain_as(std::string_view op, const FieldMap& fields, std::index_sequence<I...>) {
    return (try_plain<I>(op, fields) || ...);
  }

  template <std::size_t I>
  bool try_plain(std::string_view op, const FieldMap& fields) {
    using M = std::variant_alternative_t<I, Variant>;
    if constexpr (std::is_same_v<M, OtherMessage>) {
      return false;
    } else {
      if (op != Traits<M>::op) return false;
      PlainReader io{payloads_, last_annotations_, fields};
      describe(io, std::get<I>(messages_.emplace_back(std::in_place_index<I>)));
      if (io.bad_field() != nullptr) error_ = bad_field(op, io.bad_field(), io.bad_is_missing());
      return true;
    }
  }

  void read_other(std::string_view op, const FieldMap& fields, wire::Reader begin) {
    if constexpr (std::is_same_v<Variant, ToClient>) {
      if (op.empty() && read_failure(fields)) return;
      error_ = Error{ErrorCode::corrupt_message, "no message " + std::string{op} + " for a client"};
    } else {
      if (op.empty()) {
        error_ = Error{ErrorCode::corrupt_message, "a message without op"};
        return;
      }
      auto whole = payloads_.read(begin);
      if (!begin.ok()) {
        error_ = bad_field(op, "(a payload mark)", false);
        return;
      }
      messages_.emplace_back(OtherMessage{std::string{op}, std::move(whole)});
    }
  }

  // A scheduler that fails while it sets up the stream answers as to an RPC.
  bool read_failure(const FieldMap& fields) {
    const auto status = fields.find("status");
    if (!status || status->find("error") == std::string_view::npos) return false;
    PlainReader io{payloads_, last_annotations_, fields};
    ErrorForClient failure;
    describe(io, failure);
    if (io.bad_field() != nullptr) return false;
    messages_.emplace_back(std::move(failure));
    return true;
  }

  const wire::Message& message_;
  wire::Reader reader_;
  PayloadReader payloads_;
  DenseReaderState dense_;
  AnnotationsPtr last_annotations_;
  std::vector<Variant>& messages_;
  std::optional<Error> error_;
  bool ended_ = false;
};

template <class Variant>
Result<Ok> append_batch(const wire::Message& message, std::vector<Variant>& messages, bool* ends) {
  const auto count = messages.size();
  BatchReader<Variant> reader{message, messages};
  auto read = reader.read();
  if (!read.ok())
    messages.erase(messages.begin() + static_cast<std::ptrdiff_t>(count), messages.end());
  if (ends != nullptr && reader.ended()) *ends = true;
  return read;
}

template <class Variant>
Result<std::vector<Variant>> read_batch(const wire::Message& message, bool* ends) {
  std::vector<Variant> messages;
  const auto read = append_batch(message, messages, ends);
  if (!read.ok()) return read.error();
  return messages;
}

}  // namespace

Result<std::vector<FromClient>> read_from_client(const wire::Message& message, bool* ends) {
  return read_batch<FromClient>(message, ends);
}
Result<std::vector<ToClient>> read_to_client(const wire::Message& message, bool* ends) {
  return read_batch<ToClient>(message, ends);
}
Result<std::vector<FromWorker>> read_from_worker(const wire::Message& message, bool* ends) {
  return read_batch<FromWorker>(message, ends);
}
Result<Ok> append_from_worker(const wire::Message& message, std::vector<FromWorker>& messages,
                              bool* ends) {
  return append_batch(message, messages, ends);
}
Result<std::vector<ToWorker>> read_to_worker(const wire::Message& message, bool* ends) {
  return read_batch<ToWorker>(message, ends);
}

}  // namespace rask::protocol
