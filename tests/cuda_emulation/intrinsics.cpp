// The tensor cores, ldmatrix and cp.async of the emulated intrinsics.cuh.
#include "tensor/cuda/intrinsics.cuh"

#include <algorithm>

namespace convoy::cuda {
namespace {

using emulation::Site;

constexpr unsigned kWholeWarp = 0xFFFFFFFFu;

struct Fragments {
  float (*d)[4];
  const uint32_t (*a)[4];
  const uint32_t (*b)[2];
};

struct MatrixLoad {
  uint32_t (*registers)[4];
  const void* row;
};

bool complete(void* const (&operands)[32]) { return std::find(operands, operands + 32, nullptr) == operands + 32; }

constexpr const char* kIncomplete = "needs all 32 lanes";

// A row of the result, so that its sums stay in registers.
using Row = float __attribute__((vector_size(8 * sizeof(float))));

// d += a [16,Depth] * b [Depth,8], each sum in fp32 along the depth.
template <int Depth>
void multiply(const float (&a)[16][Depth], const Row (&b)[Depth], void* const (&operands)[32]) {
  Row d[16];
  const auto for_each_element = [&](auto&& body) {
    for (int lane = 0; lane < 32; ++lane) {
      float(&mine)[4] = *static_cast<Fragments*>(operands[lane])->d;
      for (int i = 0; i < 4; ++i) body(mine[i], d[lane / 4 + i / 2 * 8], lane % 4 * 2 + i % 2);
    }
  };
  for_each_element([](float mine, Row& row, int column) { row[column] = mine; });
  for (int i = 0; i < 16; ++i) {
    Row sums = d[i];
    for (int k = 0; k < Depth; ++k) sums += a[i][k] * b[k];
    d[i] = sums;
  }
  for_each_element([](float& mine, const Row& row, int column) { mine = row[column]; });
}

// The bits of an operand that a tensor core reads.
float from_tf32(uint32_t bits) { return __uint_as_float(bits & 0xFFFFE000u); }
float from_bf16(uint32_t pair, int which) { return __uint_as_float(which == 0 ? pair << 16 : pair & 0xFFFF0000u); }

const char* perform_mma_tf32(unsigned, void* const (&operands)[32]) {
  if (!complete(operands)) return kIncomplete;
  float a[16][8];
  Row b[8];
  for (int lane = 0; lane < 32; ++lane) {
    const Fragments& mine = *static_cast<Fragments*>(operands[lane]);
    const int group = lane / 4, member = lane % 4;
    for (int i = 0; i < 4; ++i) a[group + i % 2 * 8][member + i / 2 * 4] = from_tf32((*mine.a)[i]);
    for (int i = 0; i < 2; ++i) b[member + 4 * i][group] = from_tf32((*mine.b)[i]);
  }
  multiply(a, b, operands);
  return nullptr;
}

const char* perform_mma_bf16(unsigned, void* const (&operands)[32]) {
  if (!complete(operands)) return kIncomplete;
  float a[16][16];
  Row b[16];
  for (int lane = 0; lane < 32; ++lane) {
    const Fragments& mine = *static_cast<Fragments*>(operands[lane]);
    const int group = lane / 4, member = lane % 4;
    for (int j = 0; j < 2; ++j) {
      for (int i = 0; i < 4; ++i) a[group + i % 2 * 8][2 * member + i / 2 * 8 + j] = from_bf16((*mine.a)[i], j);
      for (int i = 0; i < 2; ++i) b[2 * member + 8 * i + j][group] = from_bf16((*mine.b)[i], j);
    }
  }
  multiply(a, b, operands);
  return nullptr;
}

const char* perform_load_matrix(unsigned, void* const (&operands)[32]) {
  if (!complete(operands)) return kIncomplete;
  for (int lane = 0; lane < 32; ++lane) {
    uint32_t(&registers)[4] = *static_cast<MatrixLoad*>(operands[lane])->registers;
    for (int matrix = 0; matrix < 4; ++matrix) {
      const void* const row = static_cast<MatrixLoad*>(operands[8 * matrix + lane / 4])->row;
      std::memcpy(&registers[matrix], static_cast<const unsigned char*>(row) + 4 * (lane % 4), 4);
    }
  }
  return nullptr;
}

const char* perform_load_transposed_matrix(unsigned, void* const (&operands)[32]) {
  if (!complete(operands)) return kIncomplete;
  for (int lane = 0; lane < 32; ++lane) {
    uint32_t(&registers)[4] = *static_cast<MatrixLoad*>(operands[lane])->registers;
    for (int matrix = 0; matrix < 4; ++matrix) {
      uint16_t pair[2];
      for (int i = 0; i < 2; ++i) {
        const void* const row = static_cast<MatrixLoad*>(operands[8 * matrix + lane % 4 * 2 + i])->row;
        std::memcpy(&pair[i], static_cast<const unsigned char*>(row) + 2 * (lane / 4), 2);
      }
      std::memcpy(&registers[matrix], pair, 4);
    }
  }
  return nullptr;
}

// Meets the warp to load matrices, `row` being the lane's share of addresses.
void load_matrices(uint32_t (&registers)[4], const void* row, emulation::WarpOperation perform, const Site& site) {
  emulation::check_shared(row, 16, site);
  if (reinterpret_cast<uintptr_t>(row) % 16 != 0) emulation::fail_kernel("reads from an unaligned address", site);
  MatrixLoad mine{&registers, row};
  emulation::meet_warp(kWholeWarp, &mine, perform, site);
}

void copy_async(void* shared, const void* global, bool valid, unsigned bytes, const Site& site) {
  emulation::check_shared(shared, bytes, site);
  if (reinterpret_cast<uintptr_t>(shared) % bytes != 0) emulation::fail_kernel("writes to an unaligned address", site);
  if (valid && reinterpret_cast<uintptr_t>(global) % bytes != 0)
    emulation::fail_kernel("reads from an unaligned address", site);
  emulation::async_copies().issue(shared, valid ? global : nullptr, bytes);
}

}  // namespace

uint32_t round_to_tf32(float x) {
  const uint32_t bits = __float_as_uint(x);
  if ((bits & 0x7F800000u) == 0x7F800000u) return x != x ? 0x7FFFE000u : bits;
  return (bits + 0x1000u) & 0xFFFFE000u;
}

uint32_t pack_bf16(float low, float high) {
  const auto rounded = [](float x) -> uint32_t {
    const uint32_t bits = __float_as_uint(x);
    return x != x ? 0x7FFFu : (bits + 0x7FFFu + (bits >> 16 & 1)) >> 16;
  };
  return rounded(high) << 16 | rounded(low);
}

void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], std::source_location where) {
  Fragments mine{&d, &a, &b};
  emulation::meet_warp(kWholeWarp, &mine, perform_mma_tf32, {"mma_tf32", where});
}

void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], std::source_location where) {
  Fragments mine{&d, &a, &b};
  emulation::meet_warp(kWholeWarp, &mine, perform_mma_bf16, {"mma_bf16", where});
}

void load_matrix_x4(uint32_t (&registers)[4], const void* row, std::source_location where) {
  load_matrices(registers, row, perform_load_matrix, {"load_matrix_x4", where});
}

void load_matrix_x4_transposed(uint32_t (&registers)[4], const void* row, std::source_location where) {
  load_matrices(registers, row, perform_load_transposed_matrix, {"load_matrix_x4_transposed", where});
}

void copy_async_16(void* shared, const void* global, bool valid, std::source_location where) {
  copy_async(shared, global, valid, 16, {"copy_async_16", where});
}

void copy_async_4(void* shared, const void* global, bool valid, std::source_location where) {
  copy_async(shared, global, valid, 4, {"copy_async_4", where});
}

}  // namespace convoy::cuda
