#include <gtest/gtest.h>

#include "rask/protocol/protocol_testing.h"

namespace rask::protocol {
namespace {

using testing::batch_of;
using testing::equal;
using testing::RandomMessages;
using testing::read_as;

template <class Variant>
void expect_random_messages_survive(Style style) {
  const std::uint64_t first_seed = ::testing::UnitTest::GetInstance()->random_seed() + 20260801;
  for (std::uint64_t seed = first_seed; seed < first_seed + 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomMessages random{seed, style};
    std::vector<Variant> messages(random.below(20));
    for (auto& message : messages) message = random.any<Variant>();
    const auto wire_message = batch_of(messages, style);
    const auto read = read_as<Variant>(wire_message);
    ASSERT_TRUE(read.ok()) << read.error().message;
    ASSERT_EQ(read.value().size(), messages.size());
    for (std::size_t i = 0; i < messages.size(); ++i) {
      ASSERT_TRUE(equal(read.value()[i], messages[i]))
          << "message " << i << " of alternative " << messages[i].index();
    }
    const auto again = batch_of(read.value(), style);
    ASSERT_EQ(again.frames(), wire_message.frames()) << "what was read is written as it was";
  }
}

TEST(RoundTrip, PlainMessagesFromAClient) {
  expect_random_messages_survive<FromClient>(Style::plain);
}
TEST(RoundTrip, PlainMessagesToAClient) { expect_random_messages_survive<ToClient>(Style::plain); }
TEST(RoundTrip, PlainMessagesFromAWorker) {
  expect_random_messages_survive<FromWorker>(Style::plain);
}
TEST(RoundTrip, PlainMessagesToAWorker) { expect_random_messages_survive<ToWorker>(Style::plain); }
TEST(RoundTrip, DenseMessagesFromAClient) {
  expect_random_messages_survive<FromClient>(Style::dense);
}
TEST(RoundTrip, DenseMessagesToAClient) { expect_random_messages_survive<ToClient>(Style::dense); }
TEST(RoundTrip, DenseMessagesFromAWorker) {
  expect_random_messages_survive<FromWorker>(Style::dense);
}
TEST(RoundTrip, DenseMessagesToAWorker) { expect_random_messages_survive<ToWorker>(Style::dense); }

TEST(RoundTrip, DefaultMessagesWithAKeySurviveBothStyles) {
  for (const auto style : {Style::plain, Style::dense}) {
    ComputeTask task;
    task.key = Key{"x"};
    TaskFinished finished;
    finished.key = Key{"x"};
    const auto to_worker = read_to_worker(batch_of<ToWorker>({task}, style));
    const auto from_worker = read_from_worker(batch_of<FromWorker>({finished}, style));
    ASSERT_TRUE(to_worker.ok()) << to_worker.error().message;
    ASSERT_TRUE(from_worker.ok()) << from_worker.error().message;
    EXPECT_TRUE(equal(to_worker.value().at(0), ToWorker{task}));
    EXPECT_TRUE(equal(from_worker.value().at(0), FromWorker{finished}));
  }
}

TEST(RoundTrip, ABatchIsEmptyAndReusableAfterTake) {
  for (const auto style : {Style::plain, Style::dense}) {
    Batch batch{style};
    FreeKeys message{{Key{"a"}}, "s-1"};
    batch.add(ToWorker{message});
    EXPECT_EQ(batch.count(), 1U);
    EXPECT_GT(batch.nbytes(), 0U);
    const auto first = batch.take();
    EXPECT_TRUE(batch.empty());
    EXPECT_EQ(batch.nbytes(), 0U);
    batch.add(ToWorker{message});
    EXPECT_EQ(batch.take(), first) << "nothing of the first wire message is referred to";
  }
}

TEST(RoundTrip, NbytesCountsFrames) {
  Batch batch{Style::dense};
  TaskErred message;
  message.key = Key{"a"};
  message.exception.header = wire::encode(wire::Value::object({{"num-sub-frames", 1}}))[0];
  message.exception.frames.push_back(wire::Buffer::own(std::string(10'000, 'x')));
  batch.add(FromWorker{message});
  std::size_t nbytes = batch.nbytes();
  std::size_t taken = 0;
  for (const auto& frame : batch.take()) taken += frame.size();
  EXPECT_EQ(nbytes, taken);
}

}  // namespace
}  // namespace rask::protocol
