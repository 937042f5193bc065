#pragma once

#include <cstddef>
#include <cstring>
#include <type_traits>

namespace disagg {

// What to do at a later time: a small trivially copyable callable, held in place. Millions of these pass
// through the agenda, so they never allocate; capture pointers and ids, not containers.
class Action {
 public:
  Action() = default;
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, Action>) Action(F act)
      : call_([](void* self) { (*static_cast<F*>(self))(); }) {  // NOLINT(google-explicit-constructor)
    static_assert(std::is_trivially_copyable_v<F> && sizeof(F) <= kSize &&
                  alignof(F) <= alignof(std::max_align_t));
    std::memcpy(storage_, &act, sizeof(F));
  }

  void operator()() { call_(storage_); }
  explicit operator bool() const { return call_ != nullptr; }

 private:
  static constexpr std::size_t kSize = 32;
  alignas(std::max_align_t) std::byte storage_[kSize]{};
  void (*call_)(void*) = nullptr;
};

}  // namespace disagg
