#include "tensor/cpu/winograd_wanted.h"

#include "tensor/cpu/conv2d_winograd.h"
#include "tensor/cpu/integers.h"

namespace convoy {

bool winograd_wanted(const Stream& stream, const Conv2dShape& s) {
  const bool possible = s.r == 3 && s.s == 3 && s.stride_h == 1 && s.stride_w == 1 && s.c > 0 && s.k > 0;
  if (!possible || stream.convolution == ConvolutionAlgorithm::gemm) return false;
  if (stream.convolution == ConvolutionAlgorithm::winograd) return true;
  // Below 16 channels the transforms take longer than what they save. Tiles that overhang compute what nobody wants: half of the
  // multiplications have to be saved all the same.
  using namespace CONVOY_ISA;
  const int64_t tiles = ceil_divide(s.p(), winograd::kTile) * ceil_divide(s.q(), winograd::kTile);
  return s.c >= 16 && s.k >= 16 && 9 * s.p() * s.q() >= 2 * winograd::kPositions * tiles;
}

}  // namespace convoy
