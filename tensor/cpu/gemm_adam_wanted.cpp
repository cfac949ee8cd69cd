#include "tensor/cpu/gemm_adam_wanted.h"

#include "tensor/cpu/cache_sets.h"

namespace convoy {

bool gemm_adam_wanted(Device device, int64_t m, int64_t n, int64_t k) {
  // Smaller weights stay in a cache between product and update. With fewer terms a tile is multiplied before memory has brought the next
  // one's weights and moments. The rows of a tile, 14 at most, are reached in turn.
  constexpr int64_t kLeastWeights = 1 << 18, kLeastTerms = 16, kRows = 14;
  return device.kind == Device::Kind::cpu && m * n >= kLeastWeights && k >= kLeastTerms && k <= kMostGemmAdamTerms &&
         CONVOY_ISA::rows_spread_over_sets(kRows, n);
}

}  // namespace convoy
