#include "tests/parallel/small_training.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "autograd/optimizer.h"
#include "layers/models.h"

namespace convoy {
namespace {

constexpr ImageExtent kImage{10, 9, 2};
constexpr int64_t kClasses = 5;
constexpr float kRate = 0.02f;

struct Samples {
  Tensor images, labels;
  int64_t size() const { return labels.count(); }
};

Samples batch(const SmallTraining& training, int64_t step) {
  const int64_t n = step + 1 == training.steps ? training.samples - 6 : training.samples;
  Samples samples{Tensor::empty({n, kImage.h, kImage.w, kImage.c}, DType::f32, Device{}),
                  Tensor::empty({n}, DType::i32, Device{})};
  const RandomKey key{.seed = training.seed, .step = static_cast<uint32_t>(step)};
  for (int64_t i = 0; i < samples.images.count(); ++i)
    samples.images.data<float>()[i] = random_uniform(key, static_cast<uint64_t>(i)) * 4 - 2;
  for (int64_t i = 0; i < n; ++i) samples.labels.data<int32_t>()[i] = static_cast<int32_t>((i * 7 + step) % kClasses);
  const Device device = current_stream().device;
  return {samples.images.to(device), samples.labels.to(device)};
}

int64_t count_correct(const Tensor& logits, const Tensor& labels) {
  const Tensor predicted = argmax(logits).to(Device{}), expected = labels.to(Device{});
  int64_t correct = 0;
  for (int64_t i = 0; i < labels.count(); ++i) correct += predicted.data<int32_t>()[i] == expected.data<int32_t>()[i];
  return correct;
}

std::vector<Variable> variables(const Module& net) {
  std::vector<Variable> all;
  for (const NamedVariable& parameter : net.parameters()) all.push_back(parameter.variable);
  return all;
}

void append(std::vector<float>& all, const Tensor& tensor) {
  const Tensor values = tensor.to(Device{});
  all.insert(all.end(), values.data<float>(), values.data<float>() + values.count());
}

void keep(const Module& net, Trained& trained) {
  for (const NamedVariable& parameter : net.parameters()) {
    append(trained.weights, parameter.variable.value());
    append(trained.gradients, parameter.variable.grad());
  }
  for (const NamedVariable& buffer : net.buffers()) append(trained.weights, buffer.variable.value());
}

// Sums of up to `terms` float32 terms in two orders differ by at most 2 * terms * eps times the sum of their sizes; of
// batch 13 with 10 x 9 pixels each sum has 1170 terms. Relative to the largest value of all, with a factor 4 for what
// is computed from sums of sums.
void expect_close(const std::vector<float>& actual, const std::vector<float>& expected, const char* what) {
  ASSERT_EQ(actual.size(), expected.size());
  float largest = 0;
  for (const float value : expected) largest = std::max(largest, std::abs(value));
  const float bound = 8 * 1170 * std::numeric_limits<float>::epsilon() * largest;
  for (size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], bound) << what << " " << i;
}

}  // namespace

void expect_close(const Trained& actual, const Trained& expected) {
  EXPECT_EQ(actual.correct, expected.correct);
  expect_close(actual.losses, expected.losses, "loss");
  expect_close(actual.weights, expected.weights, "weight");
  expect_close(actual.gradients, expected.gradients, "gradient");
}

std::unique_ptr<Module> small_net() {
  return make_model(
      "conv 5 3x3 pad 1; bn; relu; maxpool 2; dropout 0.3; conv 7 3x3; bn; relu; flatten; dropout 0.2; linear 20; "
      "relu; "
      "linear 5",
      kImage, kClasses);
}

Trained train_plainly(const SmallTraining& training) {
  const std::unique_ptr<Module> net = small_net();
  initialise(*net, training.seed);
  const std::unique_ptr<Optimizer> optimizer = make_sgd(variables(*net), {.momentum = 0.9f});
  Trained trained;
  for (int64_t step = 0; step < training.steps; ++step) {
    const Samples samples = batch(training, step);
    step_randomness() = {.seed = training.seed, .step = static_cast<uint32_t>(step)};
    optimizer->clear_grad();
    const Variable logits = (*net)(Variable(samples.images));
    const Variable loss = softmax_cross_entropy(logits, samples.labels);
    loss.backward();
    trained.losses.push_back(loss.value().item());
    trained.correct.push_back(count_correct(logits.value(), samples.labels));
    optimizer->step(kRate);
  }
  keep(*net, trained);
  return trained;
}

Trained train_in_parallel(const SmallTraining& training, const Layout& layout, Communicator* others) {
  const std::vector<Stream> streams =
      training.streams ? training.streams(layout)
                       : std::vector<Stream>(static_cast<size_t>(layout.replicas), {.threads = training.threads});
  const StreamScope scope(streams[0]);
  const std::unique_ptr<Module> net = small_net();
  initialise(*net, training.seed + static_cast<uint64_t>(layout.rank));  // rank 0's are everybody's
  const std::unique_ptr<Optimizer> optimizer = make_sgd(variables(*net), {.momentum = 0.9f});
  DataParallel parallel(*net, small_net, {.layout = layout, .streams = streams, .bucket_bytes = 2000}, others);
  Trained trained;
  for (int64_t step = 0; step < training.steps; ++step) {
    const Samples samples = batch(training, step);
    step_randomness() = {.seed = training.seed, .step = static_cast<uint32_t>(step)};
    parallel.begin_step();
    std::vector<Totals> counted(static_cast<size_t>(layout.local_shards()));
    for (int64_t micro = 0; micro < training.micro_batches; ++micro) {
      const Range piece = cut(samples.size(), micro, training.micro_batches);
      const Range here = cut(piece.size(), layout.rank, layout.ranks) + piece.begin;
      const auto work = [&](const Shard& shard) {
        const Variable logits = shard.net(Variable(shard.images));
        const Variable loss = softmax_cross_entropy(logits, shard.labels, 0, samples.size());
        counted[shard.index].loss += static_cast<double>(loss.value().item());
        counted[shard.index].samples += shard.labels.count();
        counted[shard.index].correct += count_correct(logits.value(), shard.labels);
        loss.backward();
      };
      parallel.run(samples.images.slice(here.begin, here.end), samples.labels.slice(here.begin, here.end),
                   {.size = samples.size(), .piece = piece, .here = here}, work, micro + 1 == training.micro_batches);
    }
    const Totals total = parallel.total(counted);
    EXPECT_EQ(total.samples, samples.size());
    trained.losses.push_back(static_cast<float>(total.loss));
    trained.correct.push_back(total.correct);
    parallel.finish_gradients();
    parallel.update([&] { optimizer->step(kRate); });
  }
  keep(*net, trained);
  return trained;
}

Trained train_on_local_ranks(const SmallTraining& training, const Layout& layout, const OpenSums& open_sums) {
  std::vector<Trained> trained(static_cast<size_t>(layout.ranks));
  on_local_ranks(layout.ranks, open_sums, [&](Communicator& communicator) {
    Layout mine = layout;
    mine.rank = communicator.rank();
    trained[static_cast<size_t>(mine.rank)] =
        train_in_parallel(training, mine, layout.ranks == 1 ? nullptr : &communicator);
  });
  for (const Trained& each : trained) EXPECT_EQ(each, trained.front());
  return trained.front();
}

}  // namespace convoy
