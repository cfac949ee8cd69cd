// An output buffer on the device of the current stream, between two zones of canary bytes: a kernel that writes
// outside its output changes them. The contents start as 0xFF bytes (NaN for f32), so an element that was never
// written shows too. Where the first element stands is up to the backend under test (backends.h); on the CPU it is on
// purpose not aligned to a vector.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "tests/tensor/backends.h"
#include "tests/tensor/on_device.h"

namespace convoy {

template <class T>
class Guarded {
 public:
  explicit Guarded(int64_t count) : Guarded(std::vector<T>(static_cast<size_t>(count), filled_with(0xFF))) {}
  explicit Guarded(const std::vector<T>& contents)
      : zone_(next_is_aligned() ? 64 : 67), count_(contents.size()), all_(surrounded(contents, zone_)) {}

  T* data() { return all_.data() + zone_; }
  std::vector<T> values() const {
    const std::vector<T> all = all_.values();
    return {all.begin() + zone_, all.begin() + zone_ + static_cast<ptrdiff_t>(count_)};
  }

  bool intact() const {
    const std::vector<T> all = all_.values();
    const T canary = filled_with(kCanary);
    for (size_t i = 0; i < static_cast<size_t>(zone_); ++i) {
      if (std::memcmp(&all[i], &canary, sizeof(T)) != 0) return false;
      if (std::memcmp(&all[all.size() - 1 - i], &canary, sizeof(T)) != 0) return false;
    }
    return true;
  }

 private:
  static constexpr int kCanary = 0xA5;

  static T filled_with(int byte) {
    T value;
    std::memset(&value, byte, sizeof value);
    return value;
  }
  static std::vector<T> surrounded(const std::vector<T>& contents, ptrdiff_t zone) {
    std::vector<T> all(static_cast<size_t>(zone), filled_with(kCanary));
    all.insert(all.end(), contents.begin(), contents.end());
    all.insert(all.end(), static_cast<size_t>(zone), filled_with(kCanary));
    return all;
  }

  ptrdiff_t zone_;  // elements
  size_t count_;
  OnDevice<T> all_;
};

}  // namespace convoy
