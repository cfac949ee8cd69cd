#include "apps/fitting_batch.h"

#include "tensor/error.h"

namespace convoy {

int64_t fitting_batch(Module& net, const Dataset& dataset, int64_t batch) {
  net.set_training(true);
  for (int64_t n = batch / 2; n >= 2; n /= 2) {  // batch norm cannot train on a batch of one
    try {
      const Tensor images = Tensor::zeros({n, dataset.images.size(1), dataset.images.size(2), dataset.images.size(3)});
      softmax_cross_entropy(net(Variable(images)), Tensor::zeros({n}, DType::i32)).backward();
      return n;
    } catch (const OutOfMemory&) {
    }
  }
  return 0;
}

}  // namespace convoy
