// What this CPU can do at most, measured: the roofs under which kernels are judged. Measuring takes a few tenths of
// a second, in which the best of many tries counts; other programs that run meanwhile may make it less all the same.
//
//   const double peak = fma_peak(current_stream());    // FLOP/s
#pragma once

#include <algorithm>

#include "tensor/device.h"

namespace convoy {

// FLOP/s of fp32 multiply-adds, two each, on stream.threads threads, from registers alone, with the widest vectors of the
// kernel table in use: as multiply and add where that has no fused ones.
double fma_peak(const Stream& stream);

// Bytes/s on stream.threads threads, in two tensors of 256 MiB each, of which no cache holds much, or of less where memory is short: `read`
// sums one up, `copy` writes one from the other, `update` changes one in place. Bytes read and bytes written are counted, not
// those that the CPU reads in order to write. Throws OutOfMemory.
struct MemoryBandwidth {
  double read = 0, copy = 0, update = 0;
  double best() const { return std::max({read, copy, update}); }
};
MemoryBandwidth memory_bandwidth(const Stream& stream);

}  // namespace convoy
