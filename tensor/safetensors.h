// A file of named tensors in the safetensors format: 8 bytes little-endian header length, a JSON header
// {"name": {"dtype": "F32", "shape": [2,3], "data_offsets": [begin, end]}, "__metadata__": {"key": "value"}},
// then the raw data. Format: https://github.com/huggingface/safetensors (README, "Format").
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace convoy {

struct TensorFile {
  std::map<std::string, Tensor> tensors;  // CPU
  std::map<std::string, std::string> metadata;
};

// Reads the whole file. Every field is checked before use: lengths, coverage, dtype, shape against bytes;
// nothing is allocated for what the file declares but does not hold. F32, BF16, F16, I32, U8 are taken as they are; F64 becomes f32
// and I64 becomes i32 when its values fit. Throws Error(data) naming file and fault.
TensorFile read_safetensors(const std::filesystem::path& path);

// Whether the file begins as one of them does. Looks no further, and throws nothing.
bool begins_like_safetensors(const std::filesystem::path& path);

// The bytes of a file that holds the tensors, in name order.
std::string safetensors_bytes(const TensorFile& file);

// Writes them to `path`, atomically: temporary file beside it, fsync, rename, fsync of the folder.
// Throws Error(io), leaving any old file intact.
void write_safetensors(const std::filesystem::path& path, const TensorFile& file);

}  // namespace convoy
