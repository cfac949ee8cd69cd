#include "tensor/npy.h"

#include <fmt/format.h>

#include "tensor/atomic_file.h"
#include "tensor/error.h"

namespace convoy {
namespace {

const char* description_of(DType type) {
  switch (type) {
    case DType::f32:
      return "<f4";
    case DType::i32:
      return "<i4";
    case DType::u8:
      return "|u1";
    default:
      fail(ErrorKind::usage, "npy: numpy has no type for a tensor of {}", name_of(type));
  }
}

}  // namespace

std::string npy_bytes(const Tensor& tensor) {
  std::string extents;
  for (int axis = 0; axis < tensor.shape().rank(); ++axis) extents += fmt::format("{}, ", tensor.size(axis));
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}",
                                   description_of(tensor.dtype()), extents);
  // The data begins at a multiple of 64 bytes.
  constexpr size_t kPrefix = 10, kAlignment = 64;
  const size_t begin = (kPrefix + header.size() + 1 + kAlignment - 1) / kAlignment * kAlignment;
  header.resize(begin - kPrefix - 1, ' ');
  header += '\n';
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size() & 0xFF);
  bytes += static_cast<char>(header.size() >> 8);
  const Tensor host = tensor.to(Device{});
  return bytes + header + std::string(reinterpret_cast<const char*>(host.raw()), static_cast<size_t>(host.bytes()));
}

void write_npy(const std::filesystem::path& path, const Tensor& tensor) {
  write_file_atomically(path, npy_bytes(tensor));
}

}  // namespace convoy
