// The kernel tests on the CUDA table: on a GPU, or on the emulated one where that is linked in its place.
#include "tests/tensor/backends.h"

#include <fmt/format.h>

#include "tensor/cuda/cuda.h"
#include "tests/from_environment.h"
#include "tests/tensor/cuda/schedule.h"

namespace convoy {
namespace {

constexpr std::pair<Precision, const char*> kPrecisions[] = {
    {Precision::fp32, "fp32"}, {Precision::tf32, "tf32"}, {Precision::bf16, "bf16"}};
constexpr std::pair<ConvolutionAlgorithm, const char*> kAlgorithms[] = {
    {ConvolutionAlgorithm::automatic, "automatic"},
    {ConvolutionAlgorithm::im2col, "im2col"},
    {ConvolutionAlgorithm::tiled, "tiled"},
    {ConvolutionAlgorithm::tensor_core, "tensor_core"},
    {ConvolutionAlgorithm::direct, "direct"}};

}  // namespace

std::vector<Backend> backends_under_test(Variants variants) {
  using enum Backend::Placement;
  Backend cuda{.name = "cuda",
               .unavailable = cuda::unavailable(),
               .most_cases = from_environment("CONVOY_TEST_SHAPES", 100),  // generated shapes per test
               .runs = 2,
               .vary = [](int run, Stream&) { set_schedule(run); }};
  if (cuda.unavailable.empty()) {
    static const Stream stream = cuda::make_stream(0);
    cuda.table = &cuda::kernel_table();
    cuda.stream = stream;
  }

  std::vector<Backend> backends;
  const auto add = [&](const std::string& name, Backend::Placement placement) {
    backends.push_back(cuda);
    backends.back().name += name;
    backends.back().placement = placement;
  };
  if (variants == Variants::trajectories) {
    add("", aligned);
    return backends;
  }
  if (variants == Variants::none || variants == Variants::types) {
    add("_aligned", aligned);
    add("_mixed", mixed);
    cuda.arrays = DType::bf16;
    if (variants == Variants::types) add("_mixed_bf16", mixed);
    return backends;
  }
  for (const auto& [precision, precision_name] : kPrecisions) {
    cuda.stream.precision = precision;
    cuda.arrays = activation_type(cuda.stream);
    if (variants == Variants::precisions) {
      add(fmt::format("_aligned_{}", precision_name), aligned);
      add(fmt::format("_mixed_{}", precision_name), mixed);
      continue;
    }
    for (const auto& [algorithm, algorithm_name] : kAlgorithms) {
      cuda.stream.convolution = algorithm;
      const bool named = algorithm != ConvolutionAlgorithm::automatic;  // else chosen also by what is aligned
      add(fmt::format("_{}_{}", precision_name, algorithm_name), named ? aligned : mixed);
    }
  }
  return backends;
}

}  // namespace convoy
