// Weights in a file: safetensors with PyTorch's names and layouts ([K,C,R,S] filters, [out, C*H*W] linears
// behind a Flatten), so that torch's load_state_dict takes them and gives them back.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "layers/module.h"
#include "tensor/safetensors.h"

namespace convoy {

// Writes parameters and buffers, f32, atomically (temporary file, fsync, rename). Throws Error(io).
void save_weights(const Module& module, const std::filesystem::path& path);

// Fills parameters and buffers. Every one must be there with its file shape; superfluous tensors are refused,
// except BatchNorm's num_batches_tracked and the optimizer's state in a checkpoint (checkpoint.h). Nothing is changed
// unless all fits. Throws Error(data) naming the tensor, both shapes, and the nearest name: for a tensor that is missing,
// of those that are superfluous.
void load_weights(Module& module, const std::filesystem::path& path);

// The same from and into a file in memory; `where` begins the errors' messages.
void add_weights(const Module& module, TensorFile& file);
void load_weights(Module& module, const TensorFile& file, const std::string& where);

// What the names of an optimizer's tensors begin with, in files that hold more than weights.
inline constexpr std::string_view kOptimizerPrefix = "optimizer.";

// One parameter between memory and file layout; both f32, same number of elements.
Tensor to_file_layout(const Tensor& memory, const FileLayout& layout);
Tensor from_file_layout(const Tensor& file, const FileLayout& layout, const Shape& memory_shape);

}  // namespace convoy
