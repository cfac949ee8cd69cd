#include "apps/fitting_batch.h"

#include <fmt/format.h>

#include <optional>

#include "tensor/cuda/cuda.h"
#include "tensor/error.h"
#include "tensor/memory_pool.h"

namespace convoy {

namespace {

// 0 for none.
int64_t fitting_batch(Module& net, const Dataset& dataset, const Settings& settings) {
  const Device device = current_stream().device;
  for (int64_t n = settings.batch / 2; n >= 2; n /= 2) {  // batch norm cannot train on a batch of one
    pool_release_cache(device);
    try {
      const Tensor images = Tensor::zeros({n, dataset.images.size(1), dataset.images.size(2), dataset.images.size(3)});
      const Tensor labels = Tensor::zeros({n}, DType::i32);
      net.set_training(true);
      const auto step = [&] { softmax_cross_entropy(net(Variable(images)), labels).backward(); };
      step();
      std::optional<cuda::Graph> recorded;  // keeps its memory during the evaluation
      if (settings.graph && device.kind == Device::Kind::cuda) recorded.emplace(current_stream(), step);
      const NoGrad no_grad;
      net.set_training(false);
      net(Variable(images));
      return n;
    } catch (const OutOfMemory&) {
    }
  }
  return 0;
}

}  // namespace

std::string what_would_fit(Module& net, const Dataset& dataset, const Settings& settings) {
  if (settings.parallel()) return "a smaller --batch or a larger --accumulate needs less";
  const int64_t fits = fitting_batch(net, dataset, settings);
  return fits > 0 ? fmt::format("--batch {} would fit", fits) : "no batch would fit, try a smaller --model";
}

}  // namespace convoy
