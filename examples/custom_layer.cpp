// A layer of one's own, beside those that Convoy has: a gated convolution, conv(x) * sigmoid(gate(x)) (Dauphin et al., "Language
// modeling with gated convolutional networks", 2017). Backward comes from the functions it is made of. Trains for a moment.
#include <cstdio>

#include "autograd/optimizer.h"
#include "data/loader.h"
#include "layers/layers.h"

using namespace convoy;

// [N,H,W,in] -> [N,H,W,out]. Parameters: conv.weight, conv.bias, gate.weight, gate.bias.
class GatedConv2d : public Module {
 public:
  GatedConv2d(int64_t in, int64_t out)
      : conv_(add<Conv2d>("conv", Conv2dOptions{.in = in, .out = out, .pad = {1, 1}})),
        gate_(add<Conv2d>("gate", Conv2dOptions{.in = in, .out = out, .pad = {1, 1}})) {}

  std::string describe() const override { return "GatedConv2d()"; }

 protected:
  Variable forward(const Variable& x) override {
    return apply(Binary::multiply, conv_(x), apply(Unary::sigmoid, gate_(x)));
  }

 private:
  Conv2d &conv_, &gate_;
};

struct Net : Module {
  std::string describe() const override { return "Net()"; }
  Variable forward(const Variable& x) override { return fc_(flatten(max_pool2d(gated_(x), {4, 4}, {4, 4}, {}))); }

  GatedConv2d& gated_ = add<GatedConv2d>("gated", 1, 8);
  Linear& fc_ = add<Linear>("fc", 7 * 7 * 8, 10, ImageExtent{7, 7, 8});
};

int main() {
  Net net;
  initialise(net, 1);
  std::vector<Variable> weights;
  for (const NamedVariable& parameter : net.parameters()) {
    std::printf("%-18s %s\n", parameter.name.c_str(), parameter.variable.shape().text().c_str());
    weights.push_back(parameter.variable);
  }
  const auto optimizer = make_adam(weights, {});
  Loader loader(load_dataset({.name = "synthetic"}).train, {.shuffle = true});
  loader.start_epoch(0);
  for (int step = 1; step <= 100; ++step) {
    const Batch batch = *loader.next();
    const Variable loss = softmax_cross_entropy(net(Variable(batch.images)), batch.labels);
    if (step % 25 == 0 || step == 1) std::printf("step %3d  loss %.4f\n", step, loss.value().item());
    loss.backward();
    optimizer->step(0.005f);
    optimizer->clear_grad();
  }
}
