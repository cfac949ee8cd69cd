// The sources in tensor/cpu/ that include this file are compiled once per instruction set, each time into a
// namespace of its own: cpu_portable (x86-64 baseline), cpu_avx2 (AVX2 and FMA) and cpu_avx512. CMake defines
// CONVOY_ISA accordingly.
//
// Such sources keep to their own namespace: an inline function of the standard library that they instantiate out of
// line could be picked by the linker for the whole program, with instructions the CPU may not have.
// tests/house/check_isa_symbols looks for that.
#pragma once

#ifndef CONVOY_ISA
#define CONVOY_ISA cpu_portable
#endif

#define CONVOY_TEXT_OF(x) #x
#define CONVOY_TEXT(x) CONVOY_TEXT_OF(x)

namespace convoy::CONVOY_ISA {

constexpr const char* kIsaName = CONVOY_TEXT(CONVOY_ISA) + sizeof("cpu_") - 1;  // "avx2"

#if defined(__AVX512F__)
inline constexpr int kVectorFloats = 16;
#elif defined(__AVX2__)
inline constexpr int kVectorFloats = 8;
#else
inline constexpr int kVectorFloats = 4;
#endif

// kVectorFloats floats in one register; loads and stores need no alignment.
typedef float Vector __attribute__((vector_size(kVectorFloats * 4), aligned(4), may_alias));

}  // namespace convoy::CONVOY_ISA
