// Loader: shuffled, augmented, normalised batches, prepared ahead by worker threads. What batch i of epoch e
// holds is a pure function of (seed, e, i): the number of workers changes nothing but speed.
//
//   Loader loader(train, {.batch = 64, .shuffle = true, .seed = 1, .workers = 2});
//   loader.start_epoch(0);
//   while (auto batch = loader.next()) step(*batch);
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "data/dataset.h"
#include "tensor/cut.h"

namespace convoy {

struct LoaderOptions {
  int64_t batch = 64;    // the last batch of an epoch holds what is left
  bool shuffle = false;  // a new permutation each epoch, from the seed; off: the file's order
  int crop_pad = 0;      // > 0: random crop from the image padded by this
  bool flip = false;     // random horizontal flip
  uint64_t seed = 1;
  int workers = 0;            // 0: batches are made in next(), on the calling thread; images on a GPU need and get none
  int64_t micro_batches = 1;  // each batch is handed out in so many consecutive pieces, cut() from it
  int rank = 0, ranks = 1;    // of each piece, only this rank's part of `ranks` is made; it may be empty
};

struct Batch {       // on the device of the data set's images
  Tensor images;     // [n, H, W, C] of the stream's activation_type()
  Tensor labels;     // i32 [n]
  BatchPlace place;  // of these n in the whole batch
};

// Which samples make up a batch: all that is needed to gather it on a GPU.
struct BatchSamples {
  std::vector<int32_t> positions, labels;  // [n], positions in the data set
  uint32_t epoch = 0;
  BatchPlace place;
};

class Loader {
 public:
  // Keeps a handle on the data. Throws Error(usage) for options or data that make no sense, Error(device) when a
  // worker does not start.
  Loader(Dataset dataset, const LoaderOptions& options);
  ~Loader();  // stops and joins the workers
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  int64_t size() const;  // samples per epoch

  // Begins epoch `epoch` at batch `first_batch`, dropping whatever is still queued.
  void start_epoch(int64_t epoch, int64_t first_batch = 0);
  // The next batch in order, or the next piece of it; nothing at the end of the epoch. An error in a worker is thrown
  // here.
  std::optional<Batch> next();

  // The two halves of next() without workers: the samples of the next batch, and the batch that samples make.
  std::optional<BatchSamples> next_samples();
  Batch gather(const BatchSamples& samples) const;
  // The images at `positions` (i32 [n], on their device), augmented for the epoch that current_stream().scalars tells.
  Tensor gather(const Tensor& positions) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace convoy
