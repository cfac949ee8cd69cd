// What Convoy and the program that decodes its pictures say to each other, over one socket: a request and its answer,
// in turn, until Convoy closes its end. Both run on one machine, so numbers are as they are in memory.
#pragma once

#include <cstdint>

namespace convoy {

// What a picture may be.
inline constexpr uint32_t kMostSide = 16384;                        // pixels
inline constexpr uint64_t kMostPixels = uint64_t{64} << 20;         // of a picture
inline constexpr uint64_t kMostPictureBytes = uint64_t{256} << 20;  // of its file
inline constexpr uint32_t kMostPathBytes = 1 << 16;
inline constexpr uint32_t kMostFaultBytes = 1000;

struct ImageRequest {
  uint32_t path_bytes;  // which follow
  uint32_t h, w;        // the size wanted; both 0: as it is
};

struct ImageAnswer {
  uint32_t good;   // whether it is pixels that follow, [h,w,3] (red, green, blue); else what is wrong, as text
  uint32_t h, w;   // pixels
  uint64_t bytes;  // which follow
};

}  // namespace convoy
