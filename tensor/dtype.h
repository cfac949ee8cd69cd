// Element types of a tensor, their sizes and names.
#pragma once

#include <cstdint>
#include <type_traits>

namespace convoy {

enum class DType { f32, bf16, f16, i32, u8 };

constexpr int64_t size_in_bytes(DType dtype) {
  switch (dtype) {
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::bf16:
    case DType::f16:
      return 2;
    case DType::u8:
      return 1;
  }
  return 0;
}

constexpr const char* name_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "f32";
    case DType::bf16:
      return "bf16";
    case DType::f16:
      return "f16";
    case DType::i32:
      return "i32";
    case DType::u8:
      return "u8";
  }
  return "?";
}

// The types of what kernels take as an Array.
constexpr bool is_array_type(DType dtype) { return dtype == DType::f32 || dtype == DType::bf16; }

// The C++ type that `Tensor::data<T>()` accepts for a dtype; bf16 and f16 travel as their 16 bits.
template <class T>
constexpr bool is_element_type(DType dtype) {
  if (std::is_same_v<T, float>) return dtype == DType::f32;
  if (std::is_same_v<T, int32_t>) return dtype == DType::i32;
  if (std::is_same_v<T, uint8_t>) return dtype == DType::u8;
  return std::is_same_v<T, uint16_t> && (dtype == DType::bf16 || dtype == DType::f16);
}

}  // namespace convoy
