// Device memory and pinned memory: their limits, what they start as, who may touch them and when copies happen.
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "tests/cuda_emulation/emulation_test.h"
#include "tests/cuda_emulation/sanitizer.h"

namespace convoy::emulation {
namespace {

using Memory = OnEmulatedDevice;

__global__ void fill_kernel(int first, int count, float value, float* out) {
  for (int i = first; i < first + count; ++i) out[i] = value;
}

TEST_F(Memory, new_memory_is_nan_and_aligned) {
  const DeviceArray<float> memory(7);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(memory.data()) % 256, 0u);
  for (const float value : memory.values()) EXPECT_TRUE(std::isnan(value));
}

TEST_F(Memory, a_device_is_full_at_its_limit_and_has_room_again_after_a_free) {
  ASSERT_EQ(setenv("CONVOY_EMULATED_MEMORY", "1000", 1), 0);
  void *first = nullptr, *second = nullptr;
  size_t free = 0, total = 0;
  EXPECT_EQ(cudaMalloc(&first, 600), cudaSuccess);
  EXPECT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
  EXPECT_EQ(free, 400u);
  EXPECT_EQ(total, 1000u);
  EXPECT_EQ(cudaMalloc(&second, 401), cudaErrorMemoryAllocation);
  EXPECT_EQ(second, nullptr);
  EXPECT_STREQ(cudaGetErrorName(cudaGetLastError()), "cudaErrorMemoryAllocation");
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  EXPECT_EQ(cudaFree(first), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&second, 1000), cudaSuccess);
  unsetenv("CONVOY_EMULATED_MEMORY");
}

TEST_F(Memory, freeing_what_was_not_allocated_is_an_error) {
  const DeviceArray<float> memory(4);
  EXPECT_EQ(cudaFree(memory.data() + 1), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFreeHost(memory.data()), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFree(nullptr), cudaSuccess);
  EXPECT_EQ(cudaFree(memory.data()), cudaSuccess);
  EXPECT_EQ(cudaFree(memory.data()), cudaErrorInvalidValue);
}

TEST_F(Memory, a_store_beside_an_allocation_is_reported) {
  const auto store = [](int first, int count) {
    const DeviceArray<float> memory(10);
    return run({.threads = 1}, fill_kernel, first, count, 0.5f, memory.data());
  };
  EXPECT_EQ(store(0, 10), cudaSuccess);
  if (kAddressSanitizer) {
    EXPECT_DEATH(store(0, 11), "use-after-poison");
    EXPECT_DEATH(store(-1, 1), "use-after-poison");
    return;
  }
  EXPECT_EQ(store(0, 11), cudaErrorLaunchFailure);
  EXPECT_TRUE(failure().find("fill_kernel(int, int, float, float*): wrote past the end of 40 bytes of device memory") !=
              std::string::npos)
      << failure();
  cudaDeviceReset();
  EXPECT_EQ(store(-1, 1), cudaErrorLaunchFailure);
  EXPECT_TRUE(failure().find("wrote before 40 bytes") != std::string::npos) << failure();
}

TEST_F(Memory, a_load_beside_an_allocation_gives_nan) {
  if (kAddressSanitizer) GTEST_SKIP() << "AddressSanitizer ends the program instead";
  const DeviceArray<float> memory(std::vector<float>(10, 1.0f)), out(1);
  void (*const load)(const float*, float*) = [](const float* from, float* to) { *to = *from; };
  ASSERT_EQ(run({.threads = 1}, load, memory.data() + 10, out.data()), cudaSuccess);
  EXPECT_TRUE(std::isnan(out.values()[0]));
}

__global__ void load_four_kernel(const float* in, float* out) { *out = reinterpret_cast<const float4*>(in)->x; }

TEST_F(Memory, a_misaligned_vector_access_ends_the_program) {
  if (!kAddressSanitizer) GTEST_SKIP() << "UndefinedBehaviorSanitizer, which comes with AddressSanitizer, sees it";
  const DeviceArray<float> in(std::vector<float>(8, 1.0f)), out(1);
  EXPECT_EQ(run({.threads = 1}, load_four_kernel, in.data() + 4, out.data()), cudaSuccess);
  EXPECT_DEATH(run({.threads = 1}, load_four_kernel, in.data() + 1, out.data()), "misaligned address");
}

TEST_F(Memory, reading_back_without_waiting_gives_what_was_there_before) {
  const DeviceArray<float> memory(4);
  std::vector<float> host(4, -1.0f);
  ASSERT_EQ(start({.threads = 1}, fill_kernel, 0, 4, 2.0f, memory.data()), cudaSuccess);
  ASSERT_EQ(cudaMemcpyAsync(host.data(), memory.data(), 16, cudaMemcpyDeviceToHost), cudaSuccess);
  EXPECT_EQ(host, std::vector<float>(4, -1.0f));
  ASSERT_EQ(cudaStreamSynchronize(nullptr), cudaSuccess);
  EXPECT_EQ(host, std::vector<float>(4, 2.0f));
}

TEST_F(Memory, ordinary_host_memory_is_read_at_the_call_and_pinned_memory_when_the_stream_gets_there) {
  const DeviceArray<float> to(1);
  float ordinary = 1.0f;
  ASSERT_EQ(cudaMemcpyAsync(to.data(), &ordinary, 4, cudaMemcpyHostToDevice), cudaSuccess);
  ordinary = 2.0f;
  EXPECT_EQ(to.values()[0], 1.0f);

  void* pinned = nullptr;
  ASSERT_EQ(cudaMallocHost(&pinned, 4), cudaSuccess);
  float& value = *static_cast<float*>(pinned);
  value = 1.0f;
  ASSERT_EQ(cudaMemcpyAsync(to.data(), pinned, 4, cudaMemcpyDefault), cudaSuccess);
  value = 2.0f;
  EXPECT_EQ(to.values()[0], 2.0f);
  EXPECT_EQ(cudaFreeHost(pinned), cudaSuccess);
}

TEST_F(Memory, copies_are_checked_against_their_kind_and_their_bounds) {
  const DeviceArray<float> memory(4);
  float host[5] = {};
  EXPECT_EQ(cudaMemcpyAsync(memory.data(), host, 20, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpyAsync(memory.data() + 3, host, 8, cudaMemcpyDefault), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpyAsync(host, memory.data(), 16, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpyAsync(host, host + 1, 4, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemsetAsync(host, 0, 4), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemsetAsync(memory.data(), 0, 17), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemsetAsync(memory.data(), 0, 16), cudaSuccess);
  EXPECT_EQ(memory.values(), std::vector<float>(4, 0.0f));
}

TEST_F(Memory, freeing_waits_for_the_device) {
  const DeviceArray<float> memory(4), result(4);
  ASSERT_EQ(start({.threads = 1}, fill_kernel, 0, 4, 3.0f, memory.data()), cudaSuccess);
  ASSERT_EQ(cudaMemcpyAsync(result.data(), memory.data(), 16, cudaMemcpyDeviceToDevice), cudaSuccess);
  ASSERT_EQ(cudaFree(memory.data()), cudaSuccess);
  EXPECT_EQ(result.data()[3], 3.0f);  // looked at where it lies, without waiting
}

}  // namespace
}  // namespace convoy::emulation
