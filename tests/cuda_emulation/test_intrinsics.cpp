// Matrix instructions, ldmatrix and asynchronous copies, each against its definition.
#include <cmath>
#include <cstring>
#include <random>

#include "tensor/cuda/intrinsics.cuh"
#include "tests/cuda_emulation/emulation_test.h"

namespace convoy::emulation {
namespace {

using Intrinsics = OnEmulatedDevice;

std::vector<float> random_values(size_t count, uint32_t seed) {
  std::mt19937 engine(seed);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(engine()) * 0x1p-31f - 1.0f;
  return values;
}

float tf32(float x) { return __uint_as_float(cuda::round_to_tf32(x)); }
float bf16(float x) { return __uint_as_float(cuda::pack_bf16(x, 0) << 16); }

TEST_F(Intrinsics, rounding_to_tf32_keeps_ten_bits_and_rounds_ties_away) {
  EXPECT_EQ(tf32(1.0f + 0x1p-10f), 1.0f + 0x1p-10f);
  EXPECT_EQ(tf32(1.0f + 0x1p-11f), 1.0f + 0x1p-10f);
  EXPECT_EQ(tf32(-1.0f - 0x1p-11f), -1.0f - 0x1p-10f);
  EXPECT_EQ(tf32(1.0f + 0x1p-11f - 0x1p-23f), 1.0f);
  EXPECT_EQ(tf32(INFINITY), INFINITY);
  EXPECT_TRUE(std::isnan(tf32(NAN)));
}

TEST_F(Intrinsics, rounding_to_bf16_keeps_seven_bits_and_rounds_ties_to_even) {
  EXPECT_EQ(bf16(1.0f + 0x1p-7f), 1.0f + 0x1p-7f);
  EXPECT_EQ(bf16(1.0f + 0x1p-8f), 1.0f);
  EXPECT_EQ(bf16(1.0f + 0x1p-7f + 0x1p-8f), 1.0f + 0x1p-6f);
  EXPECT_EQ(bf16(-INFINITY), -INFINITY);
  EXPECT_TRUE(std::isnan(bf16(NAN)));
  EXPECT_EQ(cuda::pack_bf16(1.0f, -2.0f), 0xC0003F80u);
}

// d [16,8] += a [16,Depth] * b [Depth,8] by one warp. The operands are handed over unrounded.
__global__ void mma_tf32_kernel(const float* a, const float* b, float* d) {
  const unsigned group = threadIdx.x / 4, member = threadIdx.x % 4;
  const auto bits = [](float x) { return __float_as_uint(x); };
  const uint32_t fragment_a[4] = {bits(a[group * 8 + member]), bits(a[(group + 8) * 8 + member]),
                                  bits(a[group * 8 + member + 4]), bits(a[(group + 8) * 8 + member + 4])};
  const uint32_t fragment_b[2] = {bits(b[member * 8 + group]), bits(b[(member + 4) * 8 + group])};
  float sums[4];
  for (unsigned i = 0; i < 4; ++i) sums[i] = d[(group + i / 2 * 8) * 8 + 2 * member + i % 2];
  cuda::mma_tf32(sums, fragment_a, fragment_b);
  for (unsigned i = 0; i < 4; ++i) d[(group + i / 2 * 8) * 8 + 2 * member + i % 2] = sums[i];
}

__global__ void mma_bf16_kernel(const float* a, const float* b, float* d) {
  const unsigned group = threadIdx.x / 4, member = threadIdx.x % 4, p = 2 * member;
  const auto of_a = [&](unsigned row, unsigned k) { return cuda::pack_bf16(a[row * 16 + k], a[row * 16 + k + 1]); };
  const auto of_b = [&](unsigned k) { return cuda::pack_bf16(b[k * 8 + group], b[(k + 1) * 8 + group]); };
  const uint32_t fragment_a[4] = {of_a(group, p), of_a(group + 8, p), of_a(group, p + 8), of_a(group + 8, p + 8)};
  const uint32_t fragment_b[2] = {of_b(p), of_b(p + 8)};
  float sums[4];
  for (unsigned i = 0; i < 4; ++i) sums[i] = d[(group + i / 2 * 8) * 8 + p + i % 2];
  cuda::mma_bf16(sums, fragment_a, fragment_b);
  for (unsigned i = 0; i < 4; ++i) d[(group + i / 2 * 8) * 8 + p + i % 2] = sums[i];
}

// Products of `rounded` operands are exact in fp32; a sum of depth + 1 terms, each at most 1, is off by depth^2 u at
// most.
template <class Rounded>
void expect_products(int depth, void (*kernel)(const float*, const float*, float*), Rounded rounded) {
  const auto size = [](int rows, int columns) { return static_cast<size_t>(rows * columns); };
  for (uint32_t seed = 0; seed < 10; ++seed) {
    const std::vector<float> a = random_values(size(16, depth), 3 * seed),
                             b = random_values(size(depth, 8), 3 * seed + 1),
                             d = random_values(size(16, 8), 3 * seed + 2);
    const DeviceArray<float> device_a(a), device_b(b), device_d(d);
    set_seed(seed);
    ASSERT_EQ(run({}, kernel, device_a.data(), device_b.data(), device_d.data()), cudaSuccess) << failure();
    const std::vector<float> result = device_d.values();
    for (int i = 0; i < 16; ++i) {
      for (int j = 0; j < 8; ++j) {
        double sum = d[size(i, 8) + static_cast<size_t>(j)];
        for (int k = 0; k < depth; ++k)
          sum += double{rounded(a[size(i, depth) + static_cast<size_t>(k)])} *
                 rounded(b[size(k, 8) + static_cast<size_t>(j)]);
        ASSERT_NEAR(result[size(i, 8) + static_cast<size_t>(j)], sum, depth * depth * 0x1p-24) << i << ", " << j;
      }
    }
  }
}

TEST_F(Intrinsics, mma_tf32_multiplies_what_is_left_of_its_operands_without_their_low_bits) {
  expect_products(8, mma_tf32_kernel, [](float x) { return __uint_as_float(__float_as_uint(x) & 0xFFFFE000u); });
}

TEST_F(Intrinsics, mma_bf16_multiplies_pairs_along_the_depth) { expect_products(16, mma_bf16_kernel, bf16); }

__global__ void mma_of_some_lanes_kernel() {
  if (threadIdx.x == 9) return;
  float d[4] = {};
  const uint32_t a[4] = {}, b[2] = {};
  cuda::mma_tf32(d, a, b);
}

TEST_F(Intrinsics, a_matrix_instruction_without_all_lanes_is_reported) {
  EXPECT_EQ(run({}, mma_of_some_lanes_kernel), cudaErrorLaunchFailure);
  EXPECT_TRUE(failure().find("mma_tf32 needs all 32 lanes") != std::string::npos) << failure();
}

// Shared memory holds four 8x8 matrices of 16 bits in rows of 16 bytes; element (row, column) of matrix j is
// 64 j + 8 row + column. Row i lies `skew` bytes further than it should.
template <bool transposed>
__global__ void load_matrix_kernel(int skew, uint32_t* out) {
  uint16_t* const shared = cuda::dynamic_shared<uint16_t>();
  for (unsigned i = threadIdx.x; i < 256; i += 32) shared[i] = static_cast<uint16_t>(i);
  __syncwarp();
  uint32_t registers[4];
  const unsigned char* const row = reinterpret_cast<unsigned char*>(shared) + threadIdx.x * 16 + skew;
  transposed ? cuda::load_matrix_x4_transposed(registers, row) : cuda::load_matrix_x4(registers, row);
  for (unsigned j = 0; j < 4; ++j) out[j * 32 + threadIdx.x] = registers[j];
}

TEST_F(Intrinsics, load_matrix_gives_each_lane_its_pair_of_every_matrix) {
  const DeviceArray<uint32_t> out(128);
  ASSERT_EQ(run({.shared_bytes = 512}, load_matrix_kernel<false>, 0, out.data()), cudaSuccess) << failure();
  const std::vector<uint32_t> registers = out.values();
  for (uint32_t j = 0; j < 4; ++j) {
    for (uint32_t lane = 0; lane < 32; ++lane) {
      const uint32_t first = 64 * j + 8 * (lane / 4) + 2 * (lane % 4);
      EXPECT_EQ(registers[j * 32 + lane], first | (first + 1) << 16);
    }
  }
}

TEST_F(Intrinsics, load_transposed_matrix_gives_each_lane_its_pair_down_a_column) {
  const DeviceArray<uint32_t> out(128);
  ASSERT_EQ(run({.shared_bytes = 512}, load_matrix_kernel<true>, 0, out.data()), cudaSuccess) << failure();
  const std::vector<uint32_t> registers = out.values();
  for (uint32_t j = 0; j < 4; ++j) {
    for (uint32_t lane = 0; lane < 32; ++lane) {
      const uint32_t first = 64 * j + 8 * (2 * (lane % 4)) + lane / 4;
      EXPECT_EQ(registers[j * 32 + lane], first | (first + 8) << 16);
    }
  }
}

TEST_F(Intrinsics, load_matrix_wants_aligned_rows_in_shared_memory) {
  const DeviceArray<uint32_t> out(128);
  EXPECT_EQ(run({.shared_bytes = 528}, load_matrix_kernel<false>, 8, out.data()), cudaErrorLaunchFailure);
  EXPECT_TRUE(failure().find("load_matrix_x4 reads from an unaligned address") != std::string::npos) << failure();
  cudaDeviceReset();
  EXPECT_EQ(run({.shared_bytes = 512}, load_matrix_kernel<false>, 16, out.data()), cudaErrorLaunchFailure);
  EXPECT_TRUE(failure().find("load_matrix_x4 is outside the dynamic shared memory") != std::string::npos) << failure();
}

// Two tiles in flight: while one is read the next is under way. `Newest` is how many copies the kernel lets be
// unfinished; 1 is right, 2 forgets to wait for the tile it reads.
template <int Newest>
__global__ void pipeline_kernel(int tiles, const float* in, float* out) {
  float* const shared = cuda::dynamic_shared<float>();
  const auto fetch = [&](int tile) {
    const bool valid = tile < tiles;
    float* const to = shared + tile % 2 * 128 + 4 * threadIdx.x;
    cuda::copy_async_16(to, valid ? in + tile * 128 + 4 * threadIdx.x : in, valid);
    cuda::copy_async_commit();
  };
  for (unsigned i = threadIdx.x; i < 256; i += 32) shared[i] = 0.0f;
  __syncthreads();
  fetch(0);
  float sum = 0;
  for (int tile = 0; tile < tiles; ++tile) {
    fetch(tile + 1);
    cuda::copy_async_wait<Newest>();
    __syncthreads();
    for (unsigned i = threadIdx.x; i < 128; i += 32) sum += shared[tile % 2 * 128 + i];
    __syncthreads();
  }
  out[threadIdx.x] = sum;
}

TEST_F(Intrinsics, asynchronous_copies_land_at_their_wait) {
  std::vector<float> values(5 * 128), expected(32, 0.0f);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(i);
    expected[i % 32] += values[i];
  }
  const DeviceArray<float> in(values), out(32);
  ASSERT_EQ(run({.shared_bytes = 1024}, pipeline_kernel<1>, 5, in.data(), out.data()), cudaSuccess) << failure();
  EXPECT_EQ(out.values(), expected);
}

TEST_F(Intrinsics, a_missing_wait_for_an_asynchronous_copy_gives_nan) {
  const DeviceArray<float> in(std::vector<float>(640, 1.0f)), out(32);
  ASSERT_EQ(run({.shared_bytes = 1024}, pipeline_kernel<2>, 5, in.data(), out.data()), cudaSuccess);
  for (const float value : out.values()) EXPECT_TRUE(std::isnan(value));
}

// Without the barrier a thread reads what another thread copied, which that one alone may.
__global__ void copy_without_barrier_kernel(const float* in, float* out) {
  float* const shared = cuda::dynamic_shared<float>();
  cuda::copy_async_4(shared + threadIdx.x, in + threadIdx.x, true);
  cuda::copy_async_commit();
  cuda::copy_async_wait<0>();
  out[threadIdx.x] = shared[threadIdx.x ^ 1];
}

TEST_F(Intrinsics, a_missing_barrier_after_an_asynchronous_copy_gives_nan) {
  const DeviceArray<float> in(std::vector<float>(32, 1.0f)), out(32);
  ASSERT_EQ(run({.shared_bytes = 128}, copy_without_barrier_kernel, in.data(), out.data()), cudaSuccess);
  int unset = 0;
  for (const float value : out.values()) unset += std::isnan(value);
  EXPECT_EQ(unset, 16);
}

__global__ void copy_kernel(int to, const float* from, bool valid, float* out) {
  float* const shared = cuda::dynamic_shared<float>();
  cuda::copy_async_16(shared + to, from, valid);
  cuda::copy_async_commit();
  cuda::copy_async_wait<0>();
  std::memcpy(out, shared + to, 16);
}

TEST_F(Intrinsics, an_invalid_copy_writes_zeros_and_reads_nothing) {
  const DeviceArray<float> out(4);
  ASSERT_EQ(run({.threads = 1, .shared_bytes = 16}, copy_kernel, 0, nullptr, false, out.data()), cudaSuccess);
  EXPECT_EQ(out.values(), std::vector<float>(4, 0.0f));
}

TEST_F(Intrinsics, asynchronous_copies_want_aligned_addresses_and_room) {
  const auto report = [](int to, int from) {
    const DeviceArray<float> in(8), out(4);
    EXPECT_EQ(run({.threads = 1, .shared_bytes = 32}, copy_kernel, to, in.data() + from, true, out.data()),
              cudaErrorLaunchFailure);
    const std::string text = failure();
    cudaDeviceReset();
    return text;
  };
  EXPECT_TRUE(report(1, 0).find("copy_async_16 writes to an unaligned address") != std::string::npos);
  EXPECT_TRUE(report(0, 1).find("copy_async_16 reads from an unaligned address") != std::string::npos);
  EXPECT_TRUE(report(8, 0).find("copy_async_16 is outside the dynamic shared memory") != std::string::npos);
}

}  // namespace
}  // namespace convoy::emulation
