// Weights in a file: safetensors with PyTorch's names and layouts ([K,C,R,S] filters, [out, C*H*W] linears
// behind a Flatten), so that torch's load_state_dict takes them and gives them back.
#pragma once

#include <filesystem>

#include "layers/module.h"

namespace convoy {

// Writes parameters and buffers, f32, atomically (temporary file, fsync, rename). Throws Error(io).
void save_weights(const Module& module, const std::filesystem::path& path);

// Fills parameters and buffers. Every one must be there with its file shape; superfluous tensors are refused,
// except BatchNorm's num_batches_tracked. Nothing is changed unless all fits. Throws Error(data) naming the
// tensor, both shapes, and the nearest name.
void load_weights(Module& module, const std::filesystem::path& path);

// One parameter between memory and file layout; both f32, same number of elements.
Tensor to_file_layout(const Tensor& memory, const FileLayout& layout);
Tensor from_file_layout(const Tensor& file, const FileLayout& layout, const Shape& memory_shape);

}  // namespace convoy
