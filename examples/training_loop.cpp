// A training loop of one's own: a model from a description, its data set, augmentation, learning rates by hand, an evaluation after
// each epoch, and weights that PyTorch loads.
#include <cstdio>
#include <vector>

#include "autograd/optimizer.h"
#include "data/loader.h"
#include "layers/models.h"
#include "layers/weights.h"

using namespace convoy;

double accuracy_of(Module& net, const Dataset& dataset) {  // in percent
  const NoGrad no_grad;
  net.set_training(false);
  Loader loader(dataset, {.batch = 250});
  loader.start_epoch(0);
  int64_t correct = 0;
  while (const auto batch = loader.next()) {
    const Tensor predicted = argmax(net(Variable(batch->images)).value());
    for (int64_t i = 0; i < predicted.count(); ++i)
      correct += predicted.data<int32_t>()[i] == batch->labels.data<int32_t>()[i];
  }
  net.set_training(true);
  return 100.0 * static_cast<double>(correct) / static_cast<double>(dataset.size());
}

int main(int argc, char** argv) {
  const int epochs = 2;
  const DatasetSplits data = load_dataset({.name = "synthetic", .limit = 4000});
  const auto net =
      make_model("conv 16 3x3; bn; relu; maxpool 2; flatten; linear 64; relu; dropout 0.2; linear 10", {28, 28, 1}, 10);
  initialise(*net, 1);
  std::vector<Variable> weights;
  for (const NamedVariable& parameter : net->parameters()) weights.push_back(parameter.variable);
  const auto optimizer = make_sgd(weights, {.momentum = 0.9f, .weight_decay = 1e-4f});

  Loader loader(data.train, {.batch = 50, .shuffle = true, .crop_pad = 2, .workers = 1});
  uint32_t step = 0;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    const float rate = epoch == 0 ? 0.05f : 0.01f;
    double loss_sum = 0;
    loader.start_epoch(epoch);
    while (const auto batch = loader.next()) {
      step_randomness() = {.seed = 1, .step = ++step};  // what dropout draws from
      const Variable loss = softmax_cross_entropy((*net)(Variable(batch->images)), batch->labels);
      loss.backward();
      optimizer->step(rate);
      optimizer->clear_grad();
      loss_sum += loss.value().item() * static_cast<double>(batch->labels.count());
    }
    std::printf("epoch %d  loss %.4f  accuracy %.2f %%\n", epoch + 1, loss_sum / static_cast<double>(loader.size()),
                accuracy_of(*net, data.test));
  }
  save_weights(*net, argc > 1 ? argv[1] : "weights.safetensors");
}
