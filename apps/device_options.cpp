#include "apps/device_options.h"

#include <fmt/format.h>

#include <charconv>
#include <vector>

#include "apps/machine.h"
#include "tensor/cuda/cuda.h"
#include "tensor/find_row.h"
#include "tensor/kernels.h"

namespace convoy {
namespace {

constexpr PrecisionRow kPrecisions[] = {
    {"fp32", "single precision throughout", Precision::fp32},
    {"tf32", "operands rounded to 10 bits of fraction, on tensor cores", Precision::tf32},
    {"bf16", "activations and filters in bf16 (7 bits of fraction), on tensor cores", Precision::bf16},
};

constexpr ConvolutionAlgorithmRow kAlgorithms[] = {
    {"auto", "the one found best for the shape", ConvolutionAlgorithm::automatic},
    {"im2col", "the im2col matrix in memory, then a product", ConvolutionAlgorithm::im2col},
    {"tiled", "implicit product, tiles in shared memory", ConvolutionAlgorithm::tiled},
    {"tensor-core", "implicit product on tensor cores", ConvolutionAlgorithm::tensor_core},
    {"direct", "no product, for images of up to 4 channels", ConvolutionAlgorithm::direct},
};

}  // namespace

std::span<const PrecisionRow> precision_table() { return kPrecisions; }
const PrecisionRow& find_precision(std::string_view name) { return find_row("precision", name, kPrecisions); }

std::span<const ConvolutionAlgorithmRow> convolution_algorithm_table() { return kAlgorithms; }
const ConvolutionAlgorithmRow& find_convolution_algorithm(std::string_view name) {
  return find_row("convolution algorithm", name, kAlgorithms);
}

Device parse_device(std::string_view text) {
  if (text == "cpu") return {};
  if (text == "cuda") return {Device::Kind::cuda, 0};
  constexpr std::string_view kPrefix = "cuda:";
  int index = 0;
  if (text.starts_with(kPrefix)) {
    const char* const end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data() + kPrefix.size(), end, index);
    if (error == std::errc() && stopped == end && index >= 0) return {Device::Kind::cuda, index};
  }
  throw unknown_name("device", text, std::vector<std::string>{"cpu", "cuda", "cuda:N"});
}

Stream open_stream(const Settings& settings) {
  const Device device = parse_device(settings.device);
  Stream stream = device.kind == Device::Kind::cuda ? cuda::make_stream(device.index) : Stream{};
  stream.threads = settings.threads;
  stream.precision = find_precision(settings.precision).value;
  stream.convolution = find_convolution_algorithm(settings.conv_algo).value;
  return stream;
}

std::string machine_text(const Settings& settings) {
  const Device device = parse_device(settings.device);
  const std::string kernels_text = fmt::format("{} kernels", kernels(device).name);
  if (device.kind == Device::Kind::cpu)
    return fmt::format("{}, {}, threads {}, loader workers {}", cpu_name(), kernels_text, settings.threads,
                       settings.workers);
  return fmt::format("{} ({}), {}, precision {}, conv-algo {}", cuda::device_info(device.index).name, device.text(),
                     kernels_text, settings.precision, settings.conv_algo);
}

}  // namespace convoy
