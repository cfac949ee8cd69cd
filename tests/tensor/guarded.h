// An output buffer between two zones of canary bytes: a kernel that writes outside its output changes them.
// The contents start as 0xFF bytes (NaN for f32), so an element that was never written shows too. The first
// element is on purpose not aligned to a vector.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

namespace convoy {

template <class T>
class Guarded {
 public:
  explicit Guarded(int64_t count)
      : count_(static_cast<size_t>(count)), bytes_((count_ + 2 * kZone) * sizeof(T), kCanary) {
    if (count_ > 0) std::memset(data(), 0xFF, count_ * sizeof(T));
  }
  explicit Guarded(const std::vector<T>& contents) : Guarded(static_cast<int64_t>(contents.size())) {
    if (count_ > 0) std::memcpy(data(), contents.data(), count_ * sizeof(T));
  }

  T* data() { return reinterpret_cast<T*>(bytes_.data()) + kZone; }
  const T* data() const { return reinterpret_cast<const T*>(bytes_.data()) + kZone; }
  std::vector<T> values() const { return {data(), data() + count_}; }

  bool intact() const {
    const size_t zone = kZone * sizeof(T);
    for (size_t i = 0; i < zone; ++i) {
      if (bytes_[i] != kCanary || bytes_[bytes_.size() - 1 - i] != kCanary) return false;
    }
    return true;
  }

 private:
  static constexpr size_t kZone = 67;
  static constexpr uint8_t kCanary = 0xA5;
  size_t count_;
  std::vector<uint8_t> bytes_;
};

}  // namespace convoy
