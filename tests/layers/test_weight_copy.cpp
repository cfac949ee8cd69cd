// A second set of weights: what it takes, gives and averages, parameters and buffers alike.
#include "layers/weight_copy.h"

#include <gtest/gtest.h>

#include <cmath>

#include "layers/models.h"
#include "layers/weights.h"
#include "tensor/error.h"

namespace convoy {
namespace {

std::unique_ptr<Module> make_net(uint64_t seed) {
  std::unique_ptr<Module> net = make_model("conv 2 3x3; bn; relu; flatten; linear 3", {5, 5, 1}, 3);
  initialise(*net, seed);
  for (NamedVariable& buffer : net->buffers())
    buffer.variable.value().copy_from(Tensor::full(buffer.variable.shape(), static_cast<float>(seed)));
  return net;
}

// Of all parameters and buffers.
std::vector<float> values_of(const Module& net) {
  std::vector<float> values;
  for (const NamedVariable& entry : weights_of(net)) {
    const Tensor& tensor = entry.variable.value();
    values.insert(values.end(), tensor.data<float>(), tensor.data<float>() + tensor.count());
  }
  return values;
}

void become(Module& net, uint64_t seed) {
  WeightCopy other(net);
  TensorFile file;
  add_weights(weights_of(*make_net(seed)), file);
  other.load(file, "here", "");
  other.give();
}

TEST(WeightCopy, takes_gives_and_exchanges_all_weights_and_buffers) {
  const std::unique_ptr<Module> net = make_net(1);
  const std::vector<float> first = values_of(*net), second = values_of(*make_net(2));
  WeightCopy copy(*net);
  become(*net, 2);
  ASSERT_EQ(values_of(*net), second);
  copy.exchange();
  EXPECT_EQ(values_of(*net), first);
  copy.exchange();
  EXPECT_EQ(values_of(*net), second);
  copy.give();
  EXPECT_EQ(values_of(*net), first);
  become(*net, 2);
  copy.take();
  become(*net, 1);
  copy.give();
  EXPECT_EQ(values_of(*net), second);
}

TEST(WeightCopy, approaches_the_network_as_the_formula_says) {
  const std::unique_ptr<Module> net = make_net(1);
  WeightCopy copy(*net);
  std::vector<double> expected;
  for (const float value : values_of(*net)) expected.push_back(static_cast<double>(value));
  for (int64_t step = 1; step <= 20; ++step) {
    become(*net, static_cast<uint64_t>(step % 4));
    const std::vector<float> now = values_of(*net);
    const float decay = average_decay(0.6f, step);
    EXPECT_FLOAT_EQ(decay, std::min(0.6f, static_cast<float>(1 + step) / static_cast<float>(10 + step)));
    copy.approach(1 - decay);
    for (size_t i = 0; i < now.size(); ++i)
      expected[i] =
          static_cast<double>(decay) * expected[i] + (1 - static_cast<double>(decay)) * static_cast<double>(now[i]);
  }
  copy.exchange();
  const std::vector<float> average = values_of(*net);
  // Values are at most 3; each of 20 steps rounds three times.
  for (size_t i = 0; i < average.size(); ++i) EXPECT_NEAR(average[i], expected[i], 20 * 3 * 3 * 0x1p-24) << i;
}

TEST(WeightCopy, lies_in_a_file_behind_a_prefix) {
  const std::unique_ptr<Module> net = make_net(1);
  WeightCopy copy(*net);
  TensorFile file;
  copy.add_to(file, "best.");
  EXPECT_TRUE(file.tensors.contains("best.0.weight") && file.tensors.contains("best.1.running_var"));
  become(*net, 2);
  WeightCopy other(*net);
  other.load(file, "here", "best.");
  other.give();
  EXPECT_EQ(values_of(*net), values_of(*make_net(1)));
  try {
    other.load(file, "here", "training.");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find("here: no tensor 'training."), 0u) << error.what();
  }
}

}  // namespace
}  // namespace convoy
