// The backends that the kernel tests run on. A test program has one file that lists them: cpu_backends.cpp the tables
// of this CPU's instruction sets; cuda/backends.cpp the CUDA table, on a GPU or on the emulated one.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "tensor/kernels.h"

namespace convoy {

struct Backend {
  std::string name;
  const Kernels* table = nullptr;
  Stream stream = {};
  std::string unavailable = {};  // why this backend cannot run here; its tests skip

  // Where inputs and outputs begin. Kernels have fast paths for aligned arrays; with `mixed` some are and some are not,
  // so every single pointer that is not looked at shows.
  enum class Placement { aligned, misaligned, mixed };
  Placement placement = Placement::misaligned;

  DType arrays = DType::f32;  // the type of what kernels take as an Array

  int most_cases = 1000;  // generated shapes per test, for backends that take their time

  // Makes work run differently in what must not matter: on another number of threads, or with the threads of a GPU in
  // another order. `run` counts from 0 to runs.
  int runs = 4;
  void (*vary)(int run, Stream& stream) = [](int, Stream&) {};
};

// What products are to be computed with: only the default, each Precision, or each with every ConvolutionAlgorithm.
// For kernels whose Arrays may be bf16: each type of arrays. For trajectories, which go through tensors: the default,
// each backend once, and on the CPU without Winograd's algorithm, too.
enum class Variants { none, precisions, convolutions, types, trajectories };
std::vector<Backend> backends_under_test(Variants variants);

// The backend that the running test is for; the placement of its next array.
inline const Backend* current_backend = nullptr;
inline unsigned arrays_placed = 0;
inline bool next_is_aligned() {
  if (current_backend == nullptr || current_backend->placement == Backend::Placement::misaligned) return false;
  if (current_backend->placement == Backend::Placement::aligned) return true;
  return philox({}, arrays_placed++).v[0] % 4 != 0;  // three of four, so that all arrays of a call often are
}

inline void PrintTo(const Backend& backend, std::ostream* out) { *out << backend.name; }

}  // namespace convoy
