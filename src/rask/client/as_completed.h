#pragma once
// Futures in the order in which their tasks are done.
//
//   for (rask::Future<int>& future : rask::as_completed(futures)) …
//   for (auto& [future, value] : rask::as_completed(futures, rask::with_results)) …
//
//   rask::AsCompleted<Page> pages;                     // and while iterating:
//   pages.add(client.submit<download>(url));
//   while (!pages.is_empty()) { auto future = pages.next(); … }
//
// Futures may be added while it is iterated, also from other threads.
#include <iterator>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "rask/client/future.h"

namespace rask {

struct WithResults {};
inline constexpr WithResults with_results{};

struct AsCompletedOptions {
  Seconds timeout = kForever;  // For the whole iteration, from its construction.
  bool raise_errors = true;    // With results: a failed task throws; else it is passed over.
};

namespace internal {

// The futures that are awaited and those that are done and were not taken yet.
class CompletionQueue {
 public:
  explicit CompletionQueue(Seconds timeout);
  ~CompletionQueue();
  CompletionQueue(const CompletionQueue&) = delete;
  CompletionQueue& operator=(const CompletionQueue&) = delete;

  void add(const FutureRef& future);
  bool is_empty() const;      // Nothing awaited, nothing left to take.
  bool has_ready() const;     // next() would not wait.
  std::size_t count() const;  // Awaited or not yet taken.
  FutureRef next();           // Empty: is_empty().   throws  TimeoutError
  std::vector<FutureRef> next_batch(bool block);
  std::vector<FutureRef> wait_batch(Seconds timeout);
  void clear();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::optional<wire::Payload> fetch_one(const FutureRef& future, Errors errors);

}  // namespace internal

template <class T, bool kWithResults = false>
class AsCompleted {
 public:
  using Item = std::conditional_t<kWithResults, std::pair<Future<T>, T>, Future<T>>;

  explicit AsCompleted(const std::vector<Future<T>>& futures = {},
                       const AsCompletedOptions& options = {})
      : queue_(std::make_unique<internal::CompletionQueue>(options.timeout)),
        raise_errors_(options.raise_errors) {
    update(futures);
  }

  void add(const Future<T>& future) { queue_->add(future.ref()); }
  void update(const std::vector<Future<T>>& futures) {
    for (const Future<T>& future : futures) add(future);
  }

  bool is_empty() const { return queue_->is_empty(); }
  bool has_ready() const { return queue_->has_ready(); }
  std::size_t count() const { return queue_->count(); }
  void clear() { queue_->clear(); }

  // The next that is done.   REQUIRES !is_empty().   throws  TimeoutError, and with results what
  // result() throws
  Item next() {
    std::optional<Item> item = take();
    if (!item.has_value()) throw ClientError{"as_completed is empty"};
    return std::move(*item);
  }
  // All that are done now; with `block`, waits for one at least. Empty when there are no more.
  std::vector<Item> next_batch(bool block = true) { return items_of(queue_->next_batch(block)); }

  // All that are done now, or else the first ones within `timeout` seconds. Empty: none was.
  std::vector<Item> wait_batch(Seconds timeout) { return items_of(queue_->wait_batch(timeout)); }

  class Iterator {
   public:
    using value_type = Item;
    using difference_type = std::ptrdiff_t;
    explicit Iterator(AsCompleted* owner) : owner_(owner) { ++*this; }
    Item& operator*() const { return *item_; }
    Iterator& operator++() {
      item_ = owner_->take();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return !item_.has_value(); }

   private:
    AsCompleted* owner_;
    mutable std::optional<Item> item_;
  };
  Iterator begin() { return Iterator{this}; }
  std::default_sentinel_t end() const { return {}; }

  // for (std::vector<Item>& batch : completed.batches()) …
  class Batches {
   public:
    explicit Batches(AsCompleted* owner) : owner_(owner) {}
    class Iterator {
     public:
      explicit Iterator(AsCompleted* owner) : owner_(owner) { ++*this; }
      std::vector<Item>& operator*() { return batch_; }
      Iterator& operator++() {
        do {
          over_ = owner_->is_empty();
          batch_ = over_ ? std::vector<Item>{} : owner_->next_batch(true);
        } while (!over_ && batch_.empty());
        return *this;
      }
      bool operator==(std::default_sentinel_t) const { return over_; }

     private:
      AsCompleted* owner_;
      bool over_ = false;
      std::vector<Item> batch_;
    };
    Iterator begin() { return Iterator{owner_}; }
    std::default_sentinel_t end() const { return {}; }

   private:
    AsCompleted* owner_;
  };
  Batches batches() { return Batches{this}; }

 private:
  std::optional<Item> take() {
    for (;;) {
      internal::FutureRef ref = queue_->next();
      if (!ref) return std::nullopt;
      if (auto item = item_of(std::move(ref))) return item;
    }
  }

  std::vector<Item> items_of(std::vector<internal::FutureRef> refs) {
    std::vector<Item> items;
    for (internal::FutureRef& ref : refs)
      if (auto item = item_of(std::move(ref))) items.push_back(std::move(*item));
    return items;
  }

  // nullopt: a failed task that is passed over.
  std::optional<Item> item_of(internal::FutureRef ref) {
    Future<T> future{std::move(ref)};
    if constexpr (kWithResults) {
      const Errors errors = raise_errors_ ? Errors::raise : Errors::skip;
      auto payload = internal::fetch_one(future.ref(), errors);
      if (!payload.has_value()) return std::nullopt;
      T value = internal::decode_result<T>(future.ref(), *payload);
      return Item{std::move(future), std::move(value)};
    } else {
      return Item{std::move(future)};
    }
  }

  std::unique_ptr<internal::CompletionQueue> queue_;
  bool raise_errors_;
};

template <class T>
AsCompleted<T> as_completed(const std::vector<Future<T>>& futures,
                            const AsCompletedOptions& options = {}) {
  return AsCompleted<T>{futures, options};
}
template <class T>
AsCompleted<T, true> as_completed(const std::vector<Future<T>>& futures, WithResults,
                                  const AsCompletedOptions& options = {}) {
  return AsCompleted<T, true>{futures, options};
}

}  // namespace rask
