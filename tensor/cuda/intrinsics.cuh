// Instructions that CUDA C++ has no name for, as small functions: shared memory of a size known at launch, tensor
// cores, asynchronous copies. Nothing else in Convoy is written in PTX. tests/cuda_emulation/tensor/cuda/ holds the
// same page in plain C++.
//
// Source: PTX ISA 8.5, "Matrix multiply-accumulate instructions", "cp.async", "ldmatrix". A warp's lane is called
// `lane`; group = lane / 4, member = lane % 4.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace convoy::cuda {

// The block's dynamic shared memory, aligned to 128 bytes, uninitialised.
template <class T>
__device__ inline T* dynamic_shared() {
  extern __shared__ __align__(128) unsigned char shared_memory[];
  return reinterpret_cast<T*>(shared_memory);
}

__device__ inline uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

// --- tensor cores -------------------------------------------------------------------------------------------------
// The products are not volatile: only their results count, in whatever order the compiler finds best.

// x rounded to TF32 (10 bits of fraction, to nearest, ties away from zero), as the bits of a float.
__device__ inline uint32_t round_to_tf32(float x) {
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return bits;
}

// Two floats rounded to bf16 (nearest even), `low` in the lower half.
__device__ inline uint32_t pack_bf16(float low, float high) {
  uint32_t bits;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
  return bits;
}

// d [16,8] += a [16,8] * b [8,8] in TF32 with fp32 sums, by a whole warp. Each lane holds
//   a[0..3] = A[group][member], A[group+8][member], A[group][member+4], A[group+8][member+4]
//   b[0..1] = B[member][group], B[member+4][group]
//   d[0..3] = D[group][2*member], D[group][2*member+1], D[group+8][2*member], D[group+8][2*member+1]
__device__ inline void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// d [16,8] += a [16,16] * b [16,8] in bf16 with fp32 sums, by a whole warp. Registers hold pairs of neighbours along
// the inner axis, the first in the lower half; with p = 2*member each lane holds
//   a[0..3] = A[group][p], A[group+8][p], A[group][p+8], A[group+8][p+8]   (and the next along the row)
//   b[0..1] = B[p][group], B[p+8][group]                                    (and the next down the column)
//   d as in mma_tf32.
__device__ inline void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Four 8x8 matrices of 16-bit elements (or 8x4 of 32-bit ones) from shared memory, by a whole warp. Lane i of 8*j + i
// passes the address of row i of matrix j (16 bytes, aligned to 16); register j of each lane then holds the 32 bits at
// row `group`, 32-bit column `member` of matrix j.
__device__ inline void load_matrix_x4(uint32_t (&registers)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
               : "r"(shared_address(row)));
}

// The same for 16-bit elements, each matrix transposed: register j of each lane holds the elements at rows 2*member and
// 2*member+1, column `group` of matrix j, the first in the lower half.
__device__ inline void load_matrix_x4_transposed(uint32_t (&registers)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
               : "r"(shared_address(row)));
}

// --- asynchronous copies ------------------------------------------------------------------------------------------

// Copies 16 bytes from global to shared memory, both aligned to 16, or writes zeros when not `valid` (then `global` is
// not read). The bytes are there after the copy's group was waited for; other threads see them after a barrier too.
__device__ inline void copy_async_16(void* shared, const void* global, bool valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
               :
               : "r"(shared_address(shared)), "l"(__cvta_generic_to_global(global)), "r"(valid ? 16 : 0)
               : "memory");
}

// The same for 4 bytes, aligned to 4.
__device__ inline void copy_async_4(void* shared, const void* global, bool valid) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;"
               :
               : "r"(shared_address(shared)), "l"(__cvta_generic_to_global(global)), "r"(valid ? 4 : 0)
               : "memory");
}

// Ends a group: the thread's copies since the last commit.
__device__ inline void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until at most `Newest` of the thread's groups, the newest, are unfinished.
template <int Newest>
__device__ inline void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Newest) : "memory");
}

}  // namespace convoy::cuda
