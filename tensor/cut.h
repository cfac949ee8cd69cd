// How work on `count` samples is cut into parts: sizes differ by at most one, and nothing is left over or done twice.
//
//   cut(10, 0, 4) = [0, 2), cut(10, 1, 4) = [2, 5), cut(10, 2, 4) = [5, 7), cut(10, 3, 4) = [7, 10)
//
// Cuts nest: parts 2i and 2i + 1 of 2n together are part i of n.
#pragma once

#include <cstdint>

namespace convoy {

struct Range {  // [begin, end)
  int64_t begin = 0, end = 0;
  constexpr int64_t size() const { return end - begin; }
  constexpr Range operator+(int64_t offset) const { return {begin + offset, end + offset}; }
  constexpr Range operator-(int64_t offset) const { return {begin - offset, end - offset}; }
  bool operator==(const Range&) const = default;
};

// Part `part` of `parts`, which is empty when there are more parts than samples.
constexpr Range cut(int64_t count, int64_t part, int64_t parts) {
  return {count * part / parts, count * (part + 1) / parts};
}

// Where in a batch some samples belong: `here` is a part of `piece`, which is a part of all [0, size).
struct BatchPlace {
  int64_t size = 0;  // of the whole batch
  Range piece;       // what all processes together work on at a time: the micro-batch
  Range here;        // this process's part of it
};

}  // namespace convoy
