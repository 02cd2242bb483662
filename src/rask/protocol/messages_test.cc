#include "rask/protocol/messages.h"

#include <gtest/gtest.h>

namespace rask::protocol {
namespace {

TEST(WorkerStatus, EveryStatusHasItsNameInDask) {
  for (int i = 0; i <= static_cast<int>(WorkerStatus::dont_reply); ++i) {
    const auto status = static_cast<WorkerStatus>(i);
    EXPECT_EQ(parse_worker_status(to_string(status)), status);
  }
  EXPECT_EQ(to_string(WorkerStatus::closing_gracefully), "closing_gracefully");
  EXPECT_EQ(to_string(WorkerStatus::dont_reply), "dont_reply");
}

TEST(WorkerStatus, AnUnknownNameIsNoStatus) {
  EXPECT_EQ(parse_worker_status("asleep"), std::nullopt);
  EXPECT_EQ(parse_worker_status(""), std::nullopt);
}

TEST(PriorityOrder, ComparesUserThenGenerationThenOrder) {
  EXPECT_LT((Priority{-1, 9, 9}), (Priority{0, 0, 0}));
  EXPECT_LT((Priority{0, 1, 9}), (Priority{0, 2, 0}));
  EXPECT_LT((Priority{0, 1, 1}), (Priority{0, 1, 2}));
}

}  // namespace
}  // namespace rask::protocol
