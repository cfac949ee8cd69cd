// What CUDA C++ adds to C++, as g++ can compile it: qualifiers, built-in variables, barriers, warp functions. Semantics
// follow the CUDA C++ Programming Guide, "C++ Language Extensions"; where it leaves a mistake undefined, the emulation
// reports it (block.h) or answers with NaN.
#pragma once

#include <math.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <source_location>

#include "tests/cuda_emulation/block.h"
#include "tests/cuda_emulation/vector_types.h"

#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...)
#define __forceinline__ inline __attribute__((always_inline))
#define __align__(bytes) alignas(bytes)

// Set for the thread that runs; constinit, so that reading one costs no call.
extern constinit thread_local uint3 threadIdx;
extern constinit thread_local uint3 blockIdx;
extern constinit thread_local dim3 blockDim;
extern constinit thread_local dim3 gridDim;
constexpr int warpSize = 32;

inline void __syncthreads(std::source_location where = std::source_location::current()) {
  convoy::emulation::meet_block({"__syncthreads", where});
}

// --- warp functions -----------------------------------------------------------------------------------------------

namespace convoy::emulation {

inline unsigned lane_of_thread() { return (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) % 32; }

template <class T>
struct Shuffle {
  T value;
  unsigned source;  // lane
  T result;
};

template <class T>
const char* shuffle(unsigned mask, void* const (&operands)[32]) {
  for (unsigned lane = 0; lane < 32; ++lane) {
    if ((mask >> lane & 1) == 0 || operands[lane] == nullptr) continue;
    Shuffle<T>& mine = *static_cast<Shuffle<T>*>(operands[lane]);
    if (operands[mine.source] != nullptr) {
      mine.result = static_cast<Shuffle<T>*>(operands[mine.source])->value;
    } else {
      std::memset(&mine.result, 0xFF, sizeof(T));  // a lane that does not take part has no value
    }
  }
  return nullptr;
}

template <class T>
T shuffled(const char* name, unsigned mask, T value, unsigned source, std::source_location where) {
  Shuffle<T> mine{value, source, value};
  meet_warp(mask, &mine, shuffle<T>, {name, where});
  return mine.result;
}

// Collects one bit per lane and hands all 32 to each.
struct Vote {
  bool predicate;
  unsigned ballot;
};
const char* vote(unsigned mask, void* const (&operands)[32]);

inline unsigned voted(const char* name, unsigned mask, bool predicate, std::source_location where) {
  Vote mine{predicate, 0};
  meet_warp(mask, &mine, vote, {name, where});
  return mine.ballot;
}

const char* meet_only(unsigned mask, void* const (&operands)[32]);

}  // namespace convoy::emulation

inline void __syncwarp(unsigned mask = 0xFFFFFFFFu, std::source_location where = std::source_location::current()) {
  convoy::emulation::meet_warp(mask, &mask, convoy::emulation::meet_only, {"__syncwarp", where});
}

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32,
              std::source_location where = std::source_location::current()) {
  const unsigned segment = convoy::emulation::lane_of_thread() & ~(width - 1u);
  return convoy::emulation::shuffled("__shfl_sync", mask, value, segment | (source & (width - 1u)), where);
}

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32,
                  std::source_location where = std::source_location::current()) {
  // A source in a later segment keeps the lane's own value; one in an earlier segment is read.
  const unsigned lane = convoy::emulation::lane_of_thread(), end = (lane & ~(width - 1u)) + width;
  const unsigned source = (lane ^ lane_mask) % 32;
  return convoy::emulation::shuffled("__shfl_xor_sync", mask, value, source < end ? source : lane, where);
}

template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   std::source_location where = std::source_location::current()) {
  const unsigned lane = convoy::emulation::lane_of_thread(), end = (lane & ~(width - 1u)) + width;
  return convoy::emulation::shuffled("__shfl_down_sync", mask, value, lane + delta < end ? lane + delta : lane, where);
}

template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 std::source_location where = std::source_location::current()) {
  const unsigned lane = convoy::emulation::lane_of_thread(), begin = lane & ~(width - 1u);
  return convoy::emulation::shuffled("__shfl_up_sync", mask, value, lane >= begin + delta ? lane - delta : lane, where);
}

inline unsigned __ballot_sync(unsigned mask, bool predicate,
                              std::source_location where = std::source_location::current()) {
  return convoy::emulation::voted("__ballot_sync", mask, predicate, where);
}

inline bool __any_sync(unsigned mask, bool predicate, std::source_location where = std::source_location::current()) {
  return convoy::emulation::voted("__any_sync", mask, predicate, where) != 0;
}

inline bool __all_sync(unsigned mask, bool predicate, std::source_location where = std::source_location::current()) {
  return convoy::emulation::voted("__all_sync", mask, !predicate, where) == 0;
}

// --- memory, bits, arithmetic -------------------------------------------------------------------------------------

// A device's kernels run on one host thread at a time, so plain additions do. Returns what was there.
inline int atomicAdd(int* address, int value) {
  const int before = *address;
  *address = static_cast<int>(static_cast<unsigned>(before) + static_cast<unsigned>(value));
  return before;
}
inline unsigned atomicAdd(unsigned* address, unsigned value) {
  const unsigned before = *address;
  *address = before + value;
  return before;
}

template <class T>
T __ldg(const T* pointer) {
  return *pointer;
}

inline void __threadfence() {}

inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }

inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
