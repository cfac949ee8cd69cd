#include "data/decode_images.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "tensor/error.h"

namespace convoy {
namespace {

constexpr int64_t kMostDecoders = 16;

// Threads take files in their order, so that all before a bad one are looked at, too: which one is the first does not
// depend on time.
class Decoding {
 public:
  Decoding(std::span<const std::filesystem::path> files, Tensor& images, bool skip_bad)
      : files_(files), images_(images.data<uint8_t>()), size_{images.size(1), images.size(2)}, skip_bad_(skip_bad) {}

  std::vector<BadImage> run(const OnProgress& on_progress) {
    const int64_t count = static_cast<int64_t>(files_.size());
    const int64_t cores = std::max<int64_t>(1, std::thread::hardware_concurrency());
    const int64_t threads = std::min({count, cores, kMostDecoders});
    std::vector<std::jthread> workers;
    running_ = threads;
    try {
      for (int64_t i = 0; i < threads; ++i) workers.emplace_back([this] { work(); });
    } catch (const std::system_error& error) {
      stopping_ = true;
      workers.clear();  // waits for those that have started
      fail(ErrorKind::device, "images: the thread of a decoder does not start: {}", error.what());
    }
    std::unique_lock lock(mutex_);
    while (!ended_.wait_for(lock, std::chrono::milliseconds(100), [this] { return running_ == 0; })) {
      if (on_progress) on_progress(static_cast<int64_t>(std::min(next_.load(), files_.size())), count);
    }
    if (error_) std::rethrow_exception(error_);
    std::ranges::sort(bad_, {}, &BadImage::position);
    if (!skip_bad_ && !bad_.empty()) fail(ErrorKind::data, "{}", bad_.front().fault);
    return std::move(bad_);
  }

 private:
  void work() {
    ImageDecoder decoder;
    try {
      for (size_t i; !stopping_ && (i = next_++) < files_.size();) decode(decoder, i);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
      stopping_ = true;
    }
    const std::lock_guard lock(mutex_);
    --running_;
    ended_.notify_one();
  }

  void decode(ImageDecoder& decoder, size_t position) {
    try {
      const DecodedImage image = decoder.decode(files_[position], size_);
      std::ranges::copy(image.pixels, images_ + static_cast<int64_t>(position) * size_.h * size_.w * 3);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;
      const std::lock_guard lock(mutex_);
      bad_.push_back({position, error.what()});
      if (!skip_bad_) stopping_ = true;
    }
  }

  const std::span<const std::filesystem::path> files_;
  uint8_t* const images_;
  const ImageSize size_;
  const bool skip_bad_;
  std::atomic<size_t> next_ = 0;
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;  // guards what follows
  std::condition_variable ended_;
  int64_t running_ = 0;
  std::vector<BadImage> bad_;
  std::exception_ptr error_;
};

}  // namespace

std::vector<BadImage> decode_images(std::span<const std::filesystem::path> files, Tensor& images, bool skip_bad,
                                    const OnProgress& on_progress) {
  CHECK(images.dtype() == DType::u8 && images.rank() == 4 && images.size(3) == 3 &&
            images.size(0) == static_cast<int64_t>(files.size()),
        "decode_images: {} {} is not u8 [{},h,w,3]", name_of(images.dtype()), images.shape(), files.size());
  return Decoding(files, images, skip_bad).run(on_progress);
}

void to_grey(const uint8_t* colours, int64_t pixels, uint8_t* grey) {
  for (int64_t i = 0; i < pixels; ++i, colours += 3)
    grey[i] = static_cast<uint8_t>((77 * colours[0] + 150 * colours[1] + 29 * colours[2] + 128) >> 8);
}

Tensor as_grey(const Tensor& colours) {
  Tensor grey = Tensor::empty({colours.size(0), colours.size(1), colours.size(2), 1}, DType::u8, Device{});
  to_grey(colours.data<uint8_t>(), grey.count(), grey.data<uint8_t>());
  return grey;
}

bool is_grey(const uint8_t* colours, int64_t pixels) {
  for (int64_t i = 0; i < pixels; ++i, colours += 3) {
    if (colours[0] != colours[1] || colours[0] != colours[2]) return false;
  }
  return true;
}

}  // namespace convoy
