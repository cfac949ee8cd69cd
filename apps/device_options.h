// What --device, --precision and --conv-algo name, and the stream they amount to.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "apps/settings.h"
#include "tensor/device.h"

namespace convoy {

struct PrecisionRow {
  const char* name;  // "tf32"
  const char* help;
  Precision value;
};
std::span<const PrecisionRow> precision_table();
const PrecisionRow& find_precision(std::string_view name);  // throws unknown_name

struct ConvolutionAlgorithmRow {
  const char* name;  // "tensor-core"
  const char* help;
  ConvolutionAlgorithm value;
};
std::span<const ConvolutionAlgorithmRow> convolution_algorithm_table();
const ConvolutionAlgorithmRow& find_convolution_algorithm(std::string_view name);  // throws unknown_name

// "cpu", "cuda" (the first GPU) or "cuda:N". Throws Error(usage) for other text, not for a device that is not there.
Device parse_device(std::string_view text);

// Whether --device names a GPU, or several.
bool on_gpu(const Settings& settings);

// The stream that a command with these settings works on. Throws Error(device) when its device is not there. Of several
// ranks and replicas on GPUs each has one: those of a host take its GPUs in their order.
Stream open_stream(const Settings& settings);
// The streams of this process's replicas: the current one, then more.
std::vector<Stream> replica_streams(const Settings& settings);

// "AMD EPYC, avx512 kernels, threads 2" or "NVIDIA H200, cuda kernels, precision tf32".
std::string machine_text(const Settings& settings);

}  // namespace convoy
