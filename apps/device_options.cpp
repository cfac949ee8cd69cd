#include "apps/device_options.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <vector>

#include "apps/job_environment.h"
#include "apps/machine.h"
#include "tensor/counted.h"
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
    {"auto", "chosen by shape and precision; what cannot do a shape or type gives way to it",
     ConvolutionAlgorithm::automatic},
    {"gemm", "CPU: implicit product", ConvolutionAlgorithm::gemm},
    {"winograd", "CPU: fewer multiplications, for 3x3 filters at stride 1", ConvolutionAlgorithm::winograd},
    {"im2col", "GPU: the im2col matrix in memory, then a product", ConvolutionAlgorithm::im2col},
    {"tiled", "GPU: implicit product, tiles in shared memory", ConvolutionAlgorithm::tiled},
    {"tensor-core", "GPU: implicit product on tensor cores", ConvolutionAlgorithm::tensor_core},
    {"direct", "GPU: no product, for images of up to 4 channels", ConvolutionAlgorithm::direct},
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
  if (text == "gpu") fail(ErrorKind::usage, "--device gpu: a GPU is called cuda, the first, or cuda:N");
  constexpr std::string_view kPrefix = "cuda:";
  int index = 0;
  if (text.starts_with(kPrefix)) {
    const char* const end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data() + kPrefix.size(), end, index);
    if (error == std::errc() && stopped == end && index >= 0) return {Device::Kind::cuda, index};
  }
  throw unknown_name("device", text, std::vector<std::string>{"cpu", "cuda", "cuda:N"});
}

bool on_gpu(const Settings& settings) { return parse_device(settings.device).kind == Device::Kind::cuda; }

namespace {

// The device of a replica of this process.
Device device_of(const Settings& settings, int replica) {
  Device device = parse_device(settings.device);
  if (device.kind == Device::Kind::cpu || settings.ranks * settings.replicas == 1) return device;
  const int count = cuda::device_count(), wanted = local_rank() * settings.replicas + replica;
  // NCCL takes ranks of different "hosts" to be on different GPUs: the way to try two ranks on one.
  const bool shared = count > 0 && settings.replicas == 1 && std::getenv("NCCL_HOSTID") != nullptr;
  device.index = shared ? wanted % count : wanted;
  if (count > 0 && device.index >= count)
    fail(ErrorKind::device, "--device cuda: this host has {}, {} are wanted ({} of {}); start fewer",
         counted(count, "GPU"), ranks_on_this_host(settings.ranks) * settings.replicas,
         counted(ranks_on_this_host(settings.ranks), "rank"), counted(settings.replicas, "replica"));
  return device;
}

Stream open_stream(const Settings& settings, const Device& device) {
  Stream stream = device.kind == Device::Kind::cuda ? cuda::make_stream(device.index) : Stream{};
  stream.threads = std::max(1, settings.threads / settings.replicas);
  stream.precision = find_precision(settings.precision).value;
  stream.convolution = find_convolution_algorithm(settings.conv_algo).value;
  return stream;
}

}  // namespace

Stream open_stream(const Settings& settings) {
  device_of(settings, settings.replicas - 1);  // is there, too
  Stream stream = open_stream(settings, device_of(settings, 0));
  stream.threads = settings.threads;
  return stream;
}

std::vector<Stream> replica_streams(const Settings& settings) {
  std::vector<Stream> streams;
  for (int replica = 0; replica < settings.replicas; ++replica) {
    const bool gpu = current_stream().device.kind == Device::Kind::cuda;
    streams.push_back(gpu && replica == 0 ? current_stream() : open_stream(settings, device_of(settings, replica)));
  }
  return streams;
}

std::string machine_text(const Settings& settings) {
  const Device device = parse_device(settings.device);
  const std::string kernels_text = fmt::format("{} kernels", kernels(device).name);
  if (device.kind == Device::Kind::cpu)
    return fmt::format("{}, {}{}, threads {}, loader workers {}", cpu_name(), kernels_text,
                       settings.conv_algo == "auto" ? "" : ", conv-algo " + settings.conv_algo, settings.threads,
                       settings.workers);
  const int first = current_stream().device.index;
  std::string gpus = Device{Device::Kind::cuda, first}.text();
  if (settings.replicas > 1) gpus += fmt::format(" to cuda:{}", first + settings.replicas - 1);
  if (settings.ranks > 1) gpus += ", others on other ranks";
  const bool direct = find_convolution_algorithm(settings.conv_algo).value == ConvolutionAlgorithm::direct;
  return fmt::format("{} ({}), {}, precision {}, conv-algo {}{}, graph {}", cuda::device_info(first).name, gpus,
                     kernels_text, settings.precision, settings.conv_algo,
                     direct ? " up to 4 channels, auto beyond" : "", settings.graph ? "on" : "off");
}

}  // namespace convoy
