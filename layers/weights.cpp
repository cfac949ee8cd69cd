#include "layers/weights.h"

#include <fmt/format.h>

#include <map>
#include <string>
#include <vector>

namespace convoy {
namespace {

constexpr std::string_view kBatchCounter = "num_batches_tracked";  // of PyTorch's BatchNorm; Convoy needs no such count

// memory [K,R,S,C] <-> file [K,C,R,S]; after_flatten: memory [out, H*W*C] is [out,H,W,C], its file
// [out,C,H,W]. So both are this one transposition of [rows, pixels, channels].
struct Transposition {
  int64_t rows, pixels, channels;
};

Transposition transposition(const Shape& memory, const FileLayout& layout) {
  switch (layout.kind) {
    case FileLayout::Kind::same:
      break;
    case FileLayout::Kind::filter:
      return {memory[0], memory[1] * memory[2], memory[3]};
    case FileLayout::Kind::after_flatten:
      return {memory[0], layout.h * layout.w, layout.c};
  }
  return {memory.count(), 1, 1};
}

Shape file_shape(const Shape& memory, const FileLayout& layout) {
  if (layout.kind == FileLayout::Kind::filter) return {memory[0], memory[3], memory[1], memory[2]};
  return memory;
}

void check_layout(const Shape& memory, const FileLayout& layout) {
  if (layout.kind == FileLayout::Kind::filter)
    CHECK(memory.rank() == 4, "file layout: a filter is [K,R,S,C], not {}", memory);
  if (layout.kind == FileLayout::Kind::after_flatten)
    CHECK(memory.rank() == 2 && memory[1] == layout.h * layout.w * layout.c,
          "file layout: {} is not a linear weight behind a flattened image of {}x{}x{}", memory, layout.h, layout.w,
          layout.c);
}

// Whether a file may hold `name` though the model has no such tensor.
bool is_batch_counter(const std::string& name, const std::map<std::string, const NamedVariable*>& known) {
  if (!name.ends_with(kBatchCounter)) return false;
  return known.contains(name.substr(0, name.size() - kBatchCounter.size()) + "running_mean");
}

bool is_of_checkpoint(const std::string& name) {
  return name.starts_with(kOptimizerPrefix) || name.starts_with(kTrainingPrefix) || name.starts_with(kBestPrefix);
}

std::string suggestion(std::string_view name, std::span<const std::string> known) {
  const std::string nearest = nearest_name(name, known);
  return nearest.empty() ? "" : fmt::format("; the nearest name is '{}'", printable(nearest));
}

}  // namespace

Tensor to_file_layout(const Tensor& memory, const FileLayout& layout) {
  check_layout(memory.shape(), layout);
  const auto [rows, pixels, channels] = transposition(memory.shape(), layout);
  Tensor file = Tensor::empty(file_shape(memory.shape(), layout), DType::f32, Device{});
  const Tensor host = memory.to(Device{});
  const float* in = host.data<float>();
  float* out = file.data<float>();
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t pixel = 0; pixel < pixels; ++pixel) *out++ = in[(row * pixels + pixel) * channels + c];
  return file;
}

Tensor from_file_layout(const Tensor& file, const FileLayout& layout, const Shape& memory_shape) {
  check_layout(memory_shape, layout);
  CHECK(file.shape() == file_shape(memory_shape, layout), "file layout: {} in the file does not belong to {} in memory",
        file.shape(), memory_shape);
  const auto [rows, pixels, channels] = transposition(memory_shape, layout);
  Tensor memory = Tensor::empty(memory_shape, DType::f32, Device{});
  const Tensor host = file.to(Device{});
  const float* in = host.data<float>();
  float* out = memory.data<float>();
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t pixel = 0; pixel < pixels; ++pixel) out[(row * pixels + pixel) * channels + c] = *in++;
  return memory;
}

std::vector<NamedVariable> weights_of(const Module& module) {
  std::vector<NamedVariable> weights = module.parameters();
  for (NamedVariable& buffer : module.buffers()) weights.push_back(std::move(buffer));
  return weights;
}

void add_weights(const std::vector<NamedVariable>& weights, TensorFile& file, const std::string& prefix) {
  for (const NamedVariable& entry : weights)
    file.tensors[prefix + entry.name] = to_file_layout(entry.variable.value(), entry.layout);
}

void save_weights(const Module& module, const std::filesystem::path& path) {
  TensorFile file;
  file.metadata["format"] = "pt";  // readers of PyTorch weights ask for this entry
  add_weights(weights_of(module), file);
  write_safetensors(path, file);
}

void load_weights(Module& module, const std::filesystem::path& path) {
  load_weights(weights_of(module), read_safetensors(path), path.string());
}

void load_weights(std::vector<NamedVariable> state, const TensorFile& file, const std::string& where,
                  const std::string& prefix) {
  for (NamedVariable& entry : state) entry.name = prefix + entry.name;
  std::map<std::string, const NamedVariable*> known;
  std::vector<std::string> known_names, unknown_names;  // the latter only in the file
  for (const NamedVariable& entry : state) {
    known[entry.name] = &entry;
    known_names.push_back(entry.name);
  }
  for (const auto& [name, tensor] : file.tensors)
    if (!known.contains(name) && !is_batch_counter(name, known) && !is_of_checkpoint(name))
      unknown_names.push_back(name);

  for (const NamedVariable& entry : state) {
    const auto found = file.tensors.find(entry.name);
    if (found == file.tensors.end())
      fail(ErrorKind::data, "{}: no tensor '{}'{}", where, entry.name, suggestion(entry.name, unknown_names));
    const Shape expected = file_shape(entry.variable.shape(), entry.layout);
    const Tensor& tensor = found->second;
    if (tensor.shape() != expected)
      fail(ErrorKind::data, "{}: '{}' is {}, the model expects {}", where, entry.name, tensor.shape(), expected);
    if (tensor.dtype() != DType::f32)
      fail(ErrorKind::data, "{}: '{}' holds {} values, the model expects f32", where, entry.name,
           name_of(tensor.dtype()));
  }
  if (prefix.empty() && !unknown_names.empty())
    fail(ErrorKind::data, "{}: '{}' is not part of the model{}", where, printable(unknown_names.front()),
         suggestion(unknown_names.front(), known_names));

  for (NamedVariable& entry : state)
    entry.variable.value().copy_from(
        from_file_layout(file.tensors.at(entry.name), entry.layout, entry.variable.shape()));
}

}  // namespace convoy
