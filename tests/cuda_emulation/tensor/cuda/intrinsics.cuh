// The page of the same name in tensor/cuda/ in plain C++: same functions, same contracts. Fragments travel as the PTX ISA
// documents them; tensor cores ignore the bits that they do not read; asynchronous copies land when they are waited for
// and not before. What the hardware asks of addresses is checked.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace convoy::cuda {

template <class T>
T* dynamic_shared() {
  return reinterpret_cast<T*>(emulation::shared_memory_begin);
}

inline uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(static_cast<const unsigned char*>(pointer) - emulation::shared_memory_begin);
}

// --- tensor cores -------------------------------------------------------------------------------------------------

uint32_t round_to_tf32(float x);
uint32_t pack_bf16(float low, float high);

void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
              std::source_location where = std::source_location::current());
void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
              std::source_location where = std::source_location::current());
void load_matrix_x4(uint32_t (&registers)[4], const void* row,
                    std::source_location where = std::source_location::current());
void load_matrix_x4_transposed(uint32_t (&registers)[4], const void* row,
                               std::source_location where = std::source_location::current());

// --- asynchronous copies ------------------------------------------------------------------------------------------

void copy_async_16(void* shared, const void* global, bool valid,
                   std::source_location where = std::source_location::current());
void copy_async_4(void* shared, const void* global, bool valid,
                  std::source_location where = std::source_location::current());

inline void copy_async_commit() { emulation::async_copies().commit(); }

template <int Newest>
void copy_async_wait() {
  emulation::async_copies().wait(Newest);
}

}  // namespace convoy::cuda
