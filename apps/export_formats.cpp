#include "apps/export_formats.h"

#include <fmt/format.h>

#include <array>
#include <map>
#include <nlohmann/json.hpp>

#include "apps/number_text.h"
#include "layers/onnx.h"
#include "layers/weights.h"
#include "tensor/atomic_file.h"
#include "tensor/find_row.h"
#include "tensor/npz.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

void write_safetensors(const fs::path& path, const ChosenModel& chosen) { save_weights(*chosen.net, path); }

void write_onnx(const fs::path& path, const ChosenModel& chosen) {
  std::map<std::string, std::string> facts{{"model", chosen.model}, {"dataset", chosen.dataset}};
  if (chosen.trained_on) {
    nlohmann::ordered_json input;
    add_input(*chosen.trained_on, input);
    for (const auto& [key, value] : input.items()) facts[key] = value.dump();
  }
  write_file_atomically(path, onnx_bytes(onnx_graph(*chosen.net, chosen.input), facts));
}

void write_npz(const fs::path& path, const ChosenModel& chosen) {
  TensorFile file;
  add_weights(weights_of(*chosen.net), file);
  write_file_atomically(path, npz_bytes(file.tensors));
}

constexpr std::array kFormats = {
    ExportFormat{"safetensors", "weights for PyTorch, under its names and in its layouts", write_safetensors},
    ExportFormat{"onnx", "the whole network, for ONNX Runtime and others", write_onnx},
    ExportFormat{"npz", "weights for numpy, under PyTorch's names and in its layouts", write_npz},
};

}  // namespace

std::span<const ExportFormat> export_format_table() { return kFormats; }

const ExportFormat& find_export_format(std::string_view name) { return find_row("format", name, kFormats); }

void write_exported(const ExportFormat& format, const fs::path& path, const ChosenModel& chosen) {
  format.write(path, chosen);
  fmt::print("{:<11}  {} ({} bytes)\n", format.name, path.string(), grouped(static_cast<int64_t>(fs::file_size(path))));
}

const ExportFormat& export_format_of(const fs::path& path) {
  for (const ExportFormat& format : kFormats) {
    if (path.extension() == std::string(".") + format.name) return format;
  }
  fail(ErrorKind::usage,
       "--output: '{}' ends in the name of no format; choose one with --format safetensors, onnx or npz",
       path.string());
}

}  // namespace convoy
