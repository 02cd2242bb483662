// What a worker gets when it asks for a shuffle.    source: distributed/shuffle/_core.py
#include <unordered_map>

#include "rask/scheduler/pickle_writer.h"
#include "rask/scheduler/shuffle.h"
#include "rask/wire/pickle.h"

namespace rask::scheduler {

Result<protocol::Payload> shuffle_run_spec(const protocol::P2PSpec& spec, std::int64_t run_id,
                                           const WorkerFor& worker_for) {
  RASK_TRY(const auto fragment, wire::pickle_fragment(spec.spec));
  const auto spec_memo = fragment.memo_end;
  PickleWriter writer;
  // The spec goes first: references inside it count from the beginning of the pickle.
  writer.raw(fragment.opcodes).put(spec_memo).op(kPop);
  writer.global("distributed.shuffle._core", "ShuffleRunSpec").op(kEmptyTuple).op(kNewObject);
  writer.op(kEmptyDict).op(kMark);
  writer.text("run_id").integer(run_id);
  writer.text("spec").get(spec_memo);
  writer.text("worker_for").op(kEmptyDict).op(kMark);
  std::unordered_map<std::string_view, std::uint32_t> memos;
  for (const auto& [partition, worker] : worker_for) {
    writer.key(partition);
    const auto next = spec_memo + 1 + static_cast<std::uint32_t>(memos.size());
    const auto [known, is_new] = memos.try_emplace(worker, next);
    if (is_new)
      writer.text(worker).put(next);
    else
      writer.get(known->second);
  }
  writer.op(kSetItems);
  writer.text("span_id").op(kNil);
  writer.op(kSetItems).op(kBuild);
  return wire::pickled_payload(writer.take());
}

}  // namespace rask::scheduler
