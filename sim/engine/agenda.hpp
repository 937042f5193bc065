#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "sim/base/expect.hpp"
#include "sim/base/quantity.hpp"
#include "sim/engine/action.hpp"

namespace disagg {

// The calendar of compute events: a 4-ary heap ordered by (time, sequence number), so that events of equal
// time run in the order in which they were scheduled. The heap holds keys only; actions stay where they were
// put.
class Agenda {
 public:
  void at(Seconds time, Action act) {
    expect(time.si == time.si && time < kNever, "an event has no finite date");
    std::uint32_t slot = 0;
    if (free_.empty()) {
      slot = static_cast<std::uint32_t>(actions_.size());
      actions_.push_back(act);
    } else {
      slot = free_.back();
      free_.pop_back();
      actions_[slot] = act;
    }
    heap_.push_back({time, ++sequence_, slot});
    sift_up(heap_.size() - 1);
  }

  bool empty() const { return heap_.empty(); }
  // Date of the next event, kNever when there is none.
  Seconds next_date() const { return heap_.empty() ? kNever : heap_.front().time; }

  // Takes the next event off the agenda. Precondition: not empty.
  Action pop() {
    const std::uint32_t slot = heap_.front().slot;
    heap_.front() = heap_.back();
    heap_.pop_back();
    if (!heap_.empty()) sift_down(0);
    free_.push_back(slot);
    return actions_[slot];
  }

 private:
  struct Key {
    Seconds time;
    std::uint64_t sequence;
    std::uint32_t slot;
    bool operator<(const Key& b) const { return time != b.time ? time < b.time : sequence < b.sequence; }
  };
  static constexpr std::size_t kArity = 4;

  void sift_up(std::size_t i) {
    const Key key = heap_[i];
    while (i > 0) {
      const std::size_t parent = (i - 1) / kArity;
      if (!(key < heap_[parent])) break;
      heap_[i] = heap_[parent];
      i = parent;
    }
    heap_[i] = key;
  }
  void sift_down(std::size_t i) {
    const Key key = heap_[i];
    while (true) {
      const std::size_t first = i * kArity + 1;
      if (first >= heap_.size()) break;
      std::size_t least = first;
      for (std::size_t child = first + 1; child < std::min(first + kArity, heap_.size()); ++child)
        if (heap_[child] < heap_[least]) least = child;
      if (!(heap_[least] < key)) break;
      heap_[i] = heap_[least];
      i = least;
    }
    heap_[i] = key;
  }

  std::vector<Key> heap_;
  std::vector<Action> actions_;
  std::vector<std::uint32_t> free_;
  std::uint64_t sequence_ = 0;
};

}  // namespace disagg
