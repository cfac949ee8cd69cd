// The loader: what a batch holds, that workers do not change it, and that they stop, restart and fail as they
// should.
#include "data/loader.h"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <numeric>
#include <thread>

#include "tensor/kernels.h"
#include "tests/data/files.h"

namespace convoy {
namespace {

// `size` images of h x w x c with patterned pixels; the label of image i is i, so that a batch tells which
// images it holds.
Dataset numbered(int64_t size, int64_t h = 3, int64_t w = 5, int64_t c = 2) {
  Dataset dataset;
  dataset.images = Tensor::empty({size, h, w, c}, DType::u8, Device{});
  const Bytes pixels = pattern(static_cast<size_t>(size * h * w * c));
  std::copy(pixels.begin(), pixels.end(), dataset.images.data<uint8_t>());
  dataset.labels = Tensor::empty({size}, DType::i32, Device{});
  std::iota(dataset.labels.data<int32_t>(), dataset.labels.data<int32_t>() + size, 0);
  dataset.normalisation = {.mean = {0.3f, 0.5f, 0.7f, 0.1f}, .std = {0.2f, 0.5f, 0.25f, 2}};
  return dataset;
}

std::vector<int32_t> labels_of(const Batch& batch) {
  const int32_t* labels = batch.labels.data<int32_t>();
  return {labels, labels + batch.labels.count()};
}

std::vector<float> pixels_of(const Batch& batch) {
  const float* pixels = batch.images.data<float>();
  return {pixels, pixels + batch.images.count()};
}

struct Collected {
  std::vector<int32_t> labels;
  std::vector<float> pixels;
  std::vector<int64_t> sizes;  // of the batches
  bool operator==(const Collected&) const = default;
};

Collected collect(Loader& loader) {
  Collected all;
  while (const auto batch = loader.next()) {
    for (const int32_t label : labels_of(*batch)) all.labels.push_back(label);
    for (const float pixel : pixels_of(*batch)) all.pixels.push_back(pixel);
    all.sizes.push_back(batch->images.size(0));
  }
  return all;
}

Collected collect_epoch(const Dataset& dataset, const LoaderOptions& options, int64_t epoch, int64_t first_batch = 0) {
  Loader loader(dataset, options);
  loader.start_epoch(epoch, first_batch);
  return collect(loader);
}

// The contract of kernels.h, written down naively: image j of the data set as epoch `epoch` sees it.
std::vector<float> augmented(const Dataset& dataset, const LoaderOptions& options, uint32_t epoch, int64_t j) {
  const Shape& shape = dataset.images.shape();
  const int64_t h = shape[1], w = shape[2], c = shape[3], pad = options.crop_pad;
  const Random4 words =
      philox({.seed = options.seed, .stream = RandomStream::augment, .step = epoch}, static_cast<uint64_t>(j));
  const auto window = static_cast<uint32_t>(2 * pad + 1);
  const int64_t top = random_below(words.v[0], window), left = random_below(words.v[1], window);
  const bool flip = options.flip && random_below(words.v[2], 2) == 1;
  const uint8_t* image = dataset.images.data<uint8_t>() + j * h * w * c;
  std::vector<float> out;
  for (int64_t y = 0; y < h; ++y)
    for (int64_t x = 0; x < w; ++x)
      for (int64_t channel = 0; channel < c; ++channel) {
        const int64_t from_y = y + top - pad, from_x = x + left - pad;
        const bool inside = 0 <= from_y && from_y < h && 0 <= from_x && from_x < w;
        const int64_t column = flip ? w - 1 - from_x : from_x;
        const float value = inside ? image[(from_y * w + column) * c + channel] : 0;
        const auto at = static_cast<size_t>(channel);
        out.push_back((value / 255 - dataset.normalisation.mean[at]) / dataset.normalisation.std[at]);
      }
  return out;
}

void expect_matches_naive(const Dataset& dataset, const LoaderOptions& options, uint32_t epoch) {
  const Collected all = collect_epoch(dataset, options, epoch);
  const size_t image = static_cast<size_t>(dataset.images.count() / dataset.size());
  for (size_t i = 0; i < all.labels.size(); ++i) {
    const std::vector<float> expected = augmented(dataset, options, epoch, all.labels[i]);
    // Four roundings of values up to |x| / std <= 5 plus the reciprocal's: 8 * 2^-24 * 5.
    for (size_t k = 0; k < image; ++k)
      ASSERT_NEAR(all.pixels[i * image + k], expected[k], 2.4e-6) << "image " << all.labels[i] << " value " << k;
  }
}

TEST(Loader, delivers_the_files_order_normalised_when_not_shuffled) {
  const Dataset dataset = numbered(11);
  const LoaderOptions options{.batch = 4};
  const Collected all = collect_epoch(dataset, options, 0);
  std::vector<int32_t> expected(11);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(all.labels, expected);
  EXPECT_EQ(all.sizes, (std::vector<int64_t>{4, 4, 3})) << "the last partial batch is kept";
  expect_matches_naive(dataset, options, 0);
}

TEST(Loader, normalises_black_and_white_as_stated) {
  Dataset dataset = numbered(1, 1, 1, 2);
  dataset.images.data<uint8_t>()[0] = 0;
  dataset.images.data<uint8_t>()[1] = 255;
  dataset.normalisation = {.mean = {0.5f, 0.5f}, .std = {0.5f, 0.5f, 1, 1}};
  EXPECT_EQ(collect_epoch(dataset, {}, 0).pixels, (std::vector<float>{-1, 1}));
}

TEST(Loader, counts_batches_for_any_size) {
  for (const int64_t size : {0, 1, 7, 8, 9}) {
    for (const int64_t batch : {int64_t{1}, int64_t{8}, int64_t{100}, int64_t{1} << 62}) {
      const LoaderOptions options{.batch = batch};
      Loader loader(numbered(size), options);
      const int64_t expected = size == 0 ? 0 : (size - 1) / batch + 1;
      EXPECT_EQ(loader.size(), size);
      loader.start_epoch(0);
      EXPECT_EQ(static_cast<int64_t>(collect(loader).sizes.size()), expected);
      EXPECT_FALSE(loader.next().has_value()) << "stays at the end";
    }
  }
}

// Every rank makes its part of every piece, and together they are the batches that one rank alone would make.
TEST(Loader, ranks_and_micro_batches_together_hold_every_sample_once_in_its_place) {
  const Dataset dataset = numbered(29, 1, 1, 1);
  const LoaderOptions options{.batch = 11, .shuffle = true, .seed = 4};
  const std::vector<int32_t> whole = collect_epoch(dataset, options, 2).labels;
  for (const int64_t pieces : {1, 3, 11}) {
    for (const int ranks : {1, 2, 5}) {
      for (const int workers : {0, 2}) {
        std::vector<int32_t> together(29, -1);
        for (int rank = 0; rank < ranks; ++rank) {
          Loader loader(dataset, {.batch = 11,
                                  .shuffle = true,
                                  .seed = 4,
                                  .workers = workers,
                                  .micro_batches = pieces,
                                  .rank = rank,
                                  .ranks = ranks});
          loader.start_epoch(2);
          for (int64_t number = 0; number < 3 * pieces; ++number) {
            const std::optional<Batch> batch = loader.next();
            ASSERT_TRUE(batch.has_value());
            const int64_t first = number / pieces * 11, size = std::min<int64_t>(11, 29 - first);
            EXPECT_EQ(batch->place.size, size);
            EXPECT_EQ(batch->place.piece, cut(size, number % pieces, pieces));
            ASSERT_EQ(batch->place.here.size(), batch->labels.count());
            const std::vector<int32_t> labels = labels_of(*batch);
            std::copy(labels.begin(), labels.end(), together.begin() + first + batch->place.here.begin);
          }
          EXPECT_FALSE(loader.next().has_value());
        }
        EXPECT_EQ(together, whole) << pieces << " pieces, " << ranks << " ranks";
      }
    }
  }
}

TEST(Loader, a_shuffle_is_a_permutation_that_depends_on_seed_and_epoch) {
  const Dataset dataset = numbered(101, 1, 1, 1);
  const auto order = [&](uint64_t seed, int64_t epoch) {
    return collect_epoch(dataset, {.batch = 8, .shuffle = true, .seed = seed}, epoch).labels;
  };
  const std::vector<int32_t> first = order(1, 0);
  std::vector<int32_t> sorted = first, expected(101);
  std::sort(sorted.begin(), sorted.end());
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(sorted, expected);
  EXPECT_NE(first, expected);
  EXPECT_EQ(order(1, 0), first);
  EXPECT_NE(order(1, 1), first);
  EXPECT_NE(order(2, 0), first);
}

TEST(Loader, every_image_is_as_likely_in_every_place) {
  constexpr int kSize = 5, kEpochs = 4000;
  Loader loader(numbered(kSize, 1, 1, 1), {.batch = kSize, .shuffle = true});
  int count[kSize][kSize] = {};
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    loader.start_epoch(epoch);
    const std::vector<int32_t> labels = labels_of(*loader.next());
    for (int place = 0; place < kSize; ++place) ++count[place][labels[static_cast<size_t>(place)]];
  }
  // Binomial(4000, 1/5): mean 800, standard deviation 25.3; six of them.
  for (const auto& row : count)
    for (const int n : row) EXPECT_NEAR(n, 800, 152);
}

TEST(Loader, crops_and_flips_as_the_contract_says) {
  for (const bool shuffle : {false, true}) {
    for (const int pad : {0, 1, 4}) {
      for (const bool flip : {false, true}) {
        for (const int64_t channels : {1, 3, 4}) {
          expect_matches_naive(numbered(23, 5, 7, channels),
                               {.batch = 5, .shuffle = shuffle, .crop_pad = pad, .flip = flip, .seed = 9}, 3);
        }
      }
    }
  }
}

TEST(Loader, draws_differ_by_epoch_and_by_image) {
  Dataset dataset = numbered(40, 6, 6, 1);
  for (int64_t i = 1; i < 40; ++i)
    std::copy_n(dataset.images.data<uint8_t>(), 36, dataset.images.data<uint8_t>() + i * 36);
  const LoaderOptions options{.batch = 40, .crop_pad = 2, .flip = true};
  const std::vector<float> first = collect_epoch(dataset, options, 0).pixels,
                           second = collect_epoch(dataset, options, 1).pixels;
  EXPECT_NE(first, second);
  EXPECT_FALSE(std::equal(first.begin(), first.begin() + 36, first.begin() + 36) &&
               std::equal(first.begin(), first.begin() + 36, first.begin() + 72));
}

TEST(Loader, the_number_of_workers_changes_nothing) {
  const Dataset dataset = numbered(211);
  for (const int64_t epoch : {0, 5}) {
    LoaderOptions options{.batch = 4, .shuffle = true, .crop_pad = 2, .flip = true, .seed = 3};
    const Collected expected = collect_epoch(dataset, options, epoch);
    for (const int workers : {1, 2, 4, 7}) {
      options.workers = workers;
      EXPECT_EQ(collect_epoch(dataset, options, epoch), expected) << workers << " workers";
    }
  }
}

TEST(Loader, one_loader_gives_epoch_after_epoch) {
  const Dataset dataset = numbered(50);
  LoaderOptions options{.batch = 7, .shuffle = true, .crop_pad = 1, .workers = 3};
  Loader loader(dataset, options);
  options.workers = 0;
  for (int64_t epoch = 0; epoch < 20; ++epoch) {
    loader.start_epoch(epoch);
    EXPECT_EQ(collect(loader), collect_epoch(dataset, options, epoch));
  }
}

TEST(Loader, starts_in_the_middle_of_an_epoch) {
  const Dataset dataset = numbered(50);
  for (const int workers : {0, 3}) {
    const LoaderOptions options{.batch = 7, .shuffle = true, .workers = workers};
    const Collected whole = collect_epoch(dataset, options, 2), part = collect_epoch(dataset, options, 2, 3);
    EXPECT_EQ(part.labels, std::vector<int32_t>(whole.labels.begin() + 21, whole.labels.end()));
    EXPECT_TRUE(collect_epoch(dataset, options, 2, 8).labels.empty());
  }
}

TEST(Loader, a_new_epoch_drops_what_was_queued) {
  const Dataset dataset = numbered(300);
  LoaderOptions options{.batch = 2, .shuffle = true, .workers = 4};
  Loader loader(dataset, options);
  options.workers = 0;
  for (int64_t round = 0; round < 50; ++round) {
    loader.start_epoch(round);
    for (int64_t step = 0; step < round % 7; ++step) ASSERT_TRUE(loader.next().has_value());
  }
  loader.start_epoch(77, 10);
  EXPECT_EQ(collect(loader), collect_epoch(dataset, options, 77, 10));
}

TEST(Loader, is_destroyed_at_any_time) {
  for (int taken = 0; taken < 20; ++taken) {
    Loader loader(numbered(100), {.batch = 3, .workers = 4});
    if (taken == 0) continue;  // before the first epoch
    loader.start_epoch(0);
    for (int i = 1; i < taken; ++i) loader.next();
  }
}

TEST(Loader, a_batch_outlives_its_loader) {
  std::optional<Batch> batch;
  {
    Loader loader(numbered(10), {.batch = 3, .workers = 2});
    loader.start_epoch(0);
    batch = loader.next();
  }
  EXPECT_EQ(labels_of(*batch), (std::vector<int32_t>{0, 1, 2}));
}

// Replaces the kernel that makes batches for a scope.
class ImageBatchKernel {
 public:
  explicit ImageBatchKernel(decltype(Kernels::image_batch) kernel) : before_(kernels(Device{})), table_(before_) {
    table_.image_batch = kernel;
    set_cpu_kernels(table_);
  }
  ~ImageBatchKernel() { set_cpu_kernels(before_); }
  ImageBatchKernel(const ImageBatchKernel&) = delete;
  ImageBatchKernel& operator=(const ImageBatchKernel&) = delete;

 private:
  const Kernels& before_;
  Kernels table_;
};

TEST(Loader, an_error_in_a_worker_is_thrown_by_next_in_its_place) {
  const ImageBatchKernel failing(
      [](const Stream&, const ImageBatchShape&, const uint8_t*, const int32_t* index, Array) {
        if (index[0] == 6) fail(ErrorKind::device, "image_batch: no memory");
      });
  for (const int workers : {0, 1, 3}) {
    Loader loader(numbered(20), {.batch = 2, .workers = workers});
    loader.start_epoch(0);
    for (int32_t first : {0, 2, 4}) EXPECT_EQ(labels_of(*loader.next())[0], first);
    EXPECT_EQ(error_of([&] { loader.next(); }, ErrorKind::device), "image_batch: no memory");
    EXPECT_EQ(labels_of(*loader.next())[0], 8) << "the batches after it are sound";
    loader.start_epoch(1, 4);
    EXPECT_EQ(collect(loader).sizes.size(), 6u);
  }
}

TEST(Loader, a_batch_under_way_when_a_new_epoch_begins_is_not_delivered) {
  static std::atomic<bool> entered, released;
  entered = released = false;
  const ImageBatchKernel slow([](const Stream&, const ImageBatchShape& shape, const uint8_t*, const int32_t*, Array) {
    if (shape.key.step != 0) {  // late, so that a batch of epoch 0 in its place would be seen
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      return;
    }
    entered = true;
    while (!released) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  LoaderOptions options{.batch = 10, .shuffle = true, .workers = 1};
  Loader loader(numbered(30), options);
  loader.start_epoch(0);
  while (!entered) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  loader.start_epoch(1);
  released = true;  // the worker now ends the first batch of epoch 0
  const Collected second = collect(loader);
  options.workers = 0;
  EXPECT_EQ(second.labels, collect_epoch(numbered(30), options, 1).labels);
}

TEST(Loader, workers_use_one_thread_each_and_stay_within_the_queue) {
  static std::atomic<int> made, threads;
  made = 0;
  threads = 0;
  const ImageBatchKernel counting(
      [](const Stream& stream, const ImageBatchShape&, const uint8_t*, const int32_t*, Array) {
        ++made;
        threads = std::max(threads.load(), stream.threads);
      });
  Loader loader(numbered(1000, 1, 1, 1), {.batch = 1, .workers = 2});
  loader.start_epoch(0);
  loader.next();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_LE(made, 1 + 2 * 2 + 2) << "one delivered, 2 * workers + 2 ahead";
  EXPECT_EQ(threads, 1);
}

TEST(Loader, refuses_options_and_data_that_make_no_sense) {
  const auto error = [](const Dataset& dataset, const LoaderOptions& options) {
    return error_of([&] { Loader loader(dataset, options); }, ErrorKind::usage);
  };
  const Dataset dataset = numbered(4);
  EXPECT_TRUE(contains(error(dataset, {.batch = 0}), {"loader: batch 0"}));
  EXPECT_TRUE(contains(error(dataset, {.batch = -1}), {"loader: batch -1"}));
  EXPECT_TRUE(contains(error(dataset, {.workers = -1}), {"loader: -1 workers"}));
  EXPECT_TRUE(contains(error(dataset, {.workers = 257}), {"loader: 257 workers"}));
  EXPECT_TRUE(contains(error(dataset, {.crop_pad = -2}), {"loader: crop padding -2"}));
  EXPECT_TRUE(contains(error(numbered(4, 2, 2, 5), {}), {"u8", "[4,2,2,5]", "C at most 4"}));
  Dataset odd = dataset;
  odd.labels = dataset.labels.slice(0, 3);
  EXPECT_TRUE(contains(error(odd, {}), {"labels i32 [3]", "[4,3,5,2]"}));
  odd = dataset;
  odd.images = Tensor::zeros({4, 1, 1, 1});
  EXPECT_TRUE(contains(error(odd, {}), {"images f32 [4,1,1,1]"}));
}

// Threads started while one lives have stacks of 1 GiB, of which the process can have two more.
class RoomForTwoThreads {
 public:
  RoomForTwoThreads() {
    pthread_getattr_default_np(&attributes_before_);
    pthread_attr_t attributes = attributes_before_;
    pthread_attr_setstacksize(&attributes, kStack);
    pthread_setattr_default_np(&attributes);
    getrlimit(RLIMIT_AS, &limit_before_);
    rlimit limit = limit_before_;
    size_t pages = 0;  // the first field: pages of address space
    std::ifstream("/proc/self/statm") >> pages;
    limit.rlim_cur = pages * static_cast<size_t>(sysconf(_SC_PAGESIZE)) + 5 * kStack / 2;
    setrlimit(RLIMIT_AS, &limit);
  }
  ~RoomForTwoThreads() {
    setrlimit(RLIMIT_AS, &limit_before_);
    pthread_setattr_default_np(&attributes_before_);
    pthread_attr_destroy(&attributes_before_);
  }
  RoomForTwoThreads(const RoomForTwoThreads&) = delete;
  RoomForTwoThreads& operator=(const RoomForTwoThreads&) = delete;

 private:
  static constexpr size_t kStack = size_t{1} << 30;
  pthread_attr_t attributes_before_;
  rlimit limit_before_;
};

TEST(Loader, a_worker_that_does_not_start_is_an_error_and_the_others_stop) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer needs more address space than the test leaves";
#endif
  const Dataset dataset = numbered(8);
  const RoomForTwoThreads room;
  EXPECT_TRUE(contains(error_of([&] { Loader loader(dataset, {.workers = 8}); }, ErrorKind::device),
                       {"loader: worker 3 of 8 does not start", "--workers"}));
}

TEST(Loader, refuses_epochs_and_batches_out_of_range) {
  Loader loader(numbered(10), {.batch = 4});
  const auto error = [&](int64_t epoch, int64_t batch) {
    return error_of([&] { loader.start_epoch(epoch, batch); }, ErrorKind::usage);
  };
  EXPECT_TRUE(contains(error_of([&] { loader.next(); }, ErrorKind::usage), {"next() before start_epoch()"}));
  EXPECT_TRUE(contains(error(-1, 0), {"epoch -1"}));
  EXPECT_TRUE(contains(error(0, 4), {"first batch 4 is outside an epoch of 3"}));
  EXPECT_TRUE(contains(error(0, -1), {"first batch -1"}));
}

}  // namespace
}  // namespace convoy
