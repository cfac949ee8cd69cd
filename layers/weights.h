// Weights in a file: safetensors with PyTorch's names and layouts ([K,C,R,S] filters, [out, C*H*W] linears
// behind a Flatten), so that torch's load_state_dict takes them and gives them back.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "layers/module.h"
#include "tensor/safetensors.h"

namespace convoy {

// Writes parameters and buffers, f32, atomically (temporary file, fsync, rename). Throws Error(io).
void save_weights(const Module& module, const std::filesystem::path& path);

// Fills parameters and buffers. Every one must be there with its file shape; superfluous tensors are refused,
// except BatchNorm's num_batches_tracked and what else is in a checkpoint (checkpoint.h). Nothing is changed
// unless all fits. Throws Error(data) naming the tensor, both shapes, and the nearest name: for a tensor that is missing,
// of those that are superfluous.
void load_weights(Module& module, const std::filesystem::path& path);

// What of a module is in a file: parameters, then buffers.
std::vector<NamedVariable> weights_of(const Module& module);

// The same from and into a file in memory; `where` begins the errors' messages. With a prefix before the names other
// tensors may be in the file.
void add_weights(const std::vector<NamedVariable>& weights, TensorFile& file, const std::string& prefix = "");
void load_weights(std::vector<NamedVariable> weights, const TensorFile& file, const std::string& where,
                  const std::string& prefix = "");

// What the names of tensors that are no weights of the network begin with, in files that hold more (checkpoint.h).
inline constexpr std::string_view kOptimizerPrefix = "optimizer.", kTrainingPrefix = "training.", kBestPrefix = "best.";

// One parameter between memory and file layout; both f32, same number of elements.
Tensor to_file_layout(const Tensor& memory, const FileLayout& layout);
Tensor from_file_layout(const Tensor& file, const FileLayout& layout, const Shape& memory_shape);

}  // namespace convoy
