// A training small enough for hundreds of repetitions, in which every kind of exchange takes part: batch norm, dropout,
// parameters of several buckets, a last batch that no number of shards divides.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "layers/module.h"
#include "parallel/communicator.h"
#include "parallel/data_parallel.h"
#include "tests/parallel/local_ranks.h"

namespace convoy {

struct SmallTraining {
  int64_t steps = 4;
  int64_t samples = 13;  // of a batch; the last one has 6 less
  int64_t micro_batches = 1;
  int threads = 2;
  std::function<std::vector<Stream>(const Layout&)> streams = {};  // of a rank's replicas; null: CPU streams
  uint64_t seed = 3;
};

// What may not depend on who computed it.
struct Trained {
  std::vector<float> losses;     // of each step
  std::vector<int64_t> correct;  // likewise
  std::vector<float> weights;    // parameters, then running statistics
  std::vector<float> gradients;  // of the last step
  bool operator==(const Trained&) const = default;
};

// With gtest: equal up to the rounding that another order of summation makes.
void expect_close(const Trained& actual, const Trained& expected);

std::unique_ptr<Module> small_net();

// The same steps without any of this folder: one batch, one thread of control.
Trained train_plainly(const SmallTraining& training);

// As one rank of a job. `others` null: the only one.
Trained train_in_parallel(const SmallTraining& training, const Layout& layout, Communicator* others);

// As a whole job, its ranks being threads; the first rank's result, after all others' weights were found equal to it.
Trained train_on_local_ranks(const SmallTraining& training, const Layout& layout, const OpenSums& open_sums);

}  // namespace convoy
