// Files of named tensors. What is taken reads back the same once written, and writes the same bytes again.
#include <algorithm>
#include <cstring>

#include "tensor/safetensors.h"
#include "tests/fuzz/input_file.h"
#include "tests/fuzz/target.h"
#include "tests/fuzz/targets.h"

namespace convoy::fuzz {
namespace {

bool same(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape() || a.dtype() != b.dtype()) return false;
  return a.count() == 0 || std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())) == 0;
}

}  // namespace

void fuzz_safetensors(std::string_view input) {
  const TensorFile file = read_safetensors(write_input("input.safetensors", input));
  const std::string bytes = safetensors_bytes(file);
  const TensorFile again = read_safetensors(write_input("output.safetensors", bytes));
  require(again.metadata == file.metadata, "metadata are read back");
  require(
      std::ranges::equal(again.tensors, file.tensors,
                         [](const auto& a, const auto& b) { return a.first == b.first && same(a.second, b.second); }),
      "tensors are read back");
  require(safetensors_bytes(again) == bytes, "what is read back is written as before");
}

}  // namespace convoy::fuzz
