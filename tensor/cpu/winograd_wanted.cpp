#include "tensor/cpu/winograd_wanted.h"

namespace convoy {

bool winograd_wanted(const Stream& stream, const Conv2dShape& s) {
  const bool possible = s.r == 3 && s.s == 3 && s.stride_h == 1 && s.stride_w == 1 && s.c > 0 && s.k > 0;
  if (!possible || stream.convolution == ConvolutionAlgorithm::gemm) return false;
  if (stream.convolution == ConvolutionAlgorithm::winograd) return true;
  // Below 16 channels the transforms take longer than what they save. Tiles of 4 x 4 results that overhang compute what
  // nobody wants: at least half of the 4 x saved has to remain.
  const int64_t tiles = (s.p() + 3) / 4 * ((s.q() + 3) / 4);
  return s.c >= 16 && s.k >= 16 && 9 * s.p() * s.q() >= 2 * 36 * tiles;
}

}  // namespace convoy
