#include "data/loader.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <limits>
#include <mutex>
#include <numeric>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "data/shuffle.h"
#include "tensor/error.h"
#include "tensor/kernels.h"
#include "tensor/work.h"

namespace convoy {
namespace {

constexpr int kMaxWorkers = 256;

// What an epoch visits, in order. Fixed once made, so workers may read it without a lock.
struct Epoch {
  uint32_t number = 0;
  std::vector<int32_t> order;  // [size]
};

Tensor on_device(const std::vector<int32_t>& values, Device device) {
  Tensor host = Tensor::empty({static_cast<int64_t>(values.size())}, DType::i32, Device{});
  std::copy(values.begin(), values.end(), host.data<int32_t>());
  return host.to(device);
}

}  // namespace

// Workers take piece numbers in order and put results into a ring of slots; next() empties the ring in order.
// A worker takes piece b only when b < delivered_ + slots, so slot b % slots is free by then. Everything
// below the line is guarded by mutex_.
class Loader::Impl {
 public:
  Impl(Dataset dataset, const LoaderOptions& options) : dataset_(std::move(dataset)), options_(options) {
    CHECK(options.batch >= 1, "loader: batch {}, at least 1 is needed", options.batch);
    CHECK(0 <= options.workers && options.workers <= kMaxWorkers, "loader: {} workers, 0 to {} are possible",
          options.workers, kMaxWorkers);
    CHECK(options.micro_batches >= 1 && 0 <= options.rank && options.rank < options.ranks,
          "loader: rank {} of {}, batches in {} pieces", options.rank, options.ranks, options.micro_batches);
    CHECK(options.crop_pad >= 0, "loader: crop padding {}, at least 0 is needed", options.crop_pad);
    const Tensor &images = dataset_.images, &labels = dataset_.labels;
    CHECK(images.defined() && images.rank() == 4 && images.dtype() == DType::u8 && images.size(3) <= 4,
          "loader: images {} {} are not u8 [size,H,W,C] with C at most 4", name_of(images.dtype()), images.shape());
    CHECK(labels.defined() && labels.dtype() == DType::i32 && labels.shape() == Shape({images.size(0)}),
          "loader: labels {} {} are not i32 [size] for images {}", name_of(labels.dtype()), labels.shape(),
          images.shape());
    CHECK(size() <= std::numeric_limits<int32_t>::max(), "loader: {} images, more than 2^31 - 1", size());
    const int workers = images.device().kind == Device::Kind::cpu ? options.workers : 0;
    slots_.resize(workers == 0 ? 0 : 2 * static_cast<size_t>(workers) + 2);
    threads_.reserve(static_cast<size_t>(workers));
    try {
      for (int worker = 0; worker < workers; ++worker) threads_.emplace_back([this] { work(); });
    } catch (const std::system_error& error) {
      stop();
      fail(ErrorKind::device, "loader: worker {} of {} does not start: {}; ask for fewer with --workers",
           threads_.size() + 1, workers, error.what());
    }
  }

  ~Impl() { stop(); }

  int64_t size() const { return dataset_.size(); }
  int64_t batches() const { return size() / options_.batch + (size() % options_.batch != 0); }
  int64_t pieces() const { return batches() * options_.micro_batches; }

  void start_epoch(int64_t number, int64_t first_batch) {
    CHECK(number >= 0, "loader: epoch {}, at least 0 is needed", number);
    CHECK(0 <= first_batch && first_batch <= batches(), "loader: first batch {} is outside an epoch of {}", first_batch,
          batches());
    auto epoch = std::make_shared<Epoch>();
    epoch->number = static_cast<uint32_t>(number);
    if (options_.shuffle) {
      epoch->order = shuffled(size(), {.seed = options_.seed, .stream = RandomStream::shuffle, .step = epoch->number});
    } else {
      epoch->order.resize(static_cast<size_t>(size()));
      std::iota(epoch->order.begin(), epoch->order.end(), 0);
    }
    {
      const std::lock_guard lock(mutex_);
      epoch_ = std::move(epoch);
      taken_ = delivered_ = first_batch * options_.micro_batches;
      std::fill(slots_.begin(), slots_.end(), Slot{});
    }
    may_take_.notify_all();
  }

  std::optional<BatchSamples> next_samples() {
    const std::lock_guard lock(mutex_);
    CHECK(epoch_ != nullptr, "loader: next_samples() before start_epoch()");
    CHECK(threads_.empty(), "loader: next_samples() beside {} workers", threads_.size());
    if (delivered_ == pieces()) return std::nullopt;
    return samples(*epoch_, delivered_++);
  }

  Batch gather(const BatchSamples& samples, const Stream& stream) const {
    const Device device = dataset_.images.device();
    return {.images = gather(on_device(samples.positions, device), samples.epoch, stream),
            .labels = on_device(samples.labels, device),
            .place = samples.place};
  }

  Tensor gather(const Tensor& positions, uint32_t epoch, const Stream& stream) const {
    const WorkScope work("images", Work::Pass::data);
    const Tensor& images = dataset_.images;
    ImageBatchShape shape{.n = positions.size(0),
                          .h = images.size(1),
                          .w = images.size(2),
                          .c = images.size(3),
                          .crop_pad = options_.crop_pad,
                          .flip = options_.flip,
                          .key = {.seed = options_.seed, .stream = RandomStream::augment, .step = epoch}};
    for (int64_t c = 0; c < shape.c; ++c) {
      shape.mean[c] = dataset_.normalisation.mean[static_cast<size_t>(c)];
      shape.inverse_std[c] = 1 / dataset_.normalisation.std[static_cast<size_t>(c)];
    }
    Tensor batch = Tensor::empty({shape.n, shape.h, shape.w, shape.c}, activation_type(stream), images.device());
    kernels(images.device()).image_batch(stream, shape, images.data<uint8_t>(), positions.data<int32_t>(), batch);
    return batch;
  }

  std::optional<Batch> next() {
    std::unique_lock lock(mutex_);
    CHECK(epoch_ != nullptr, "loader: next() before start_epoch()");
    if (delivered_ == pieces()) return std::nullopt;
    if (threads_.empty()) return gather(samples(*epoch_, delivered_++), current_stream());
    Slot& slot = slots_[static_cast<size_t>(delivered_) % slots_.size()];
    may_deliver_.wait(lock, [&] { return slot.full; });
    const Slot result = std::exchange(slot, Slot{});
    ++delivered_;
    lock.unlock();
    may_take_.notify_one();
    if (result.error) std::rethrow_exception(result.error);
    return result.batch;
  }

 private:
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    may_take_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  struct Slot {
    bool full = false;
    Batch batch;
    std::exception_ptr error;
  };

  void work() {
    const Stream stream{};  // one thread: the workers are the parallelism
    std::unique_lock lock(mutex_);
    while (true) {
      may_take_.wait(lock, [&] {
        return stopping_ ||
               (epoch_ != nullptr && taken_ < pieces() && taken_ < delivered_ + static_cast<int64_t>(slots_.size()));
      });
      if (stopping_) return;
      const std::shared_ptr<const Epoch> epoch = epoch_;
      const int64_t number = taken_++;
      lock.unlock();
      Slot result;
      result.full = true;
      try {
        result.batch = gather(samples(*epoch, number), stream);
      } catch (...) {
        result.error = std::current_exception();
      }
      lock.lock();
      if (epoch_ != epoch) continue;  // start_epoch() dropped what was under way
      slots_[static_cast<size_t>(number) % slots_.size()] = std::move(result);
      may_deliver_.notify_one();
    }
  }

  // This rank's part of piece `number` of the epoch. A batch has options.batch samples, or what is left.
  BatchSamples samples(const Epoch& epoch, int64_t number) const {
    const int64_t first = number / options_.micro_batches * options_.batch;
    const int64_t size = std::min(options_.batch, this->size() - first);
    const Range piece = cut(size, number % options_.micro_batches, options_.micro_batches);
    const Range here = cut(piece.size(), options_.rank, options_.ranks) + piece.begin;
    const auto begin = epoch.order.begin() + first;
    BatchSamples samples{.positions = {begin + here.begin, begin + here.end},
                         .labels = {},
                         .epoch = epoch.number,
                         .place = {.size = size, .piece = piece, .here = here}};
    const int32_t* const labels = dataset_.labels.data<int32_t>();
    for (const int32_t position : samples.positions) samples.labels.push_back(labels[position]);
    return samples;
  }

  const Dataset dataset_;
  const LoaderOptions options_;
  std::vector<std::thread> threads_;

  // ---
  std::mutex mutex_;
  std::condition_variable may_take_, may_deliver_;
  std::shared_ptr<const Epoch> epoch_;  // null before the first start_epoch()
  int64_t taken_ = 0, delivered_ = 0;   // the next piece to take, and to deliver
  std::vector<Slot> slots_;             // empty without workers
  bool stopping_ = false;
};

Loader::Loader(Dataset dataset, const LoaderOptions& options)
    : impl_(std::make_unique<Impl>(std::move(dataset), options)) {}
Loader::~Loader() = default;

int64_t Loader::size() const { return impl_->size(); }
void Loader::start_epoch(int64_t epoch, int64_t first_batch) { impl_->start_epoch(epoch, first_batch); }
std::optional<Batch> Loader::next() { return impl_->next(); }
std::optional<BatchSamples> Loader::next_samples() { return impl_->next_samples(); }
Batch Loader::gather(const BatchSamples& samples) const { return impl_->gather(samples, current_stream()); }
Tensor Loader::gather(const Tensor& positions) const { return impl_->gather(positions, 0, current_stream()); }

}  // namespace convoy
