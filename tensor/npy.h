// One array in numpy's file format, version 1.0: what np.load() reads. Format:
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once

#include <filesystem>
#include <string>

#include "tensor/tensor.h"

namespace convoy {

// The bytes of a file that holds `tensor`, in C order. F32, I32 and U8 alone, on any device: throws Error(usage) for others.
std::string npy_bytes(const Tensor& tensor);

// Writes them atomically. Throws Error(io), leaving any old file intact.
void write_npy(const std::filesystem::path& path, const Tensor& tensor);

}  // namespace convoy
