#include "data/image_folder.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "data/class_folders.h"
#include "data/decode_images.h"
#include "data/shuffle.h"
#include "tensor/counted.h"
#include "tensor/error.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

// Pictures and the classes they are of.
struct Samples {
  std::vector<fs::path> files;
  std::vector<int32_t> labels;
};

struct Listing {
  std::vector<std::string> classes;
  Samples train, test;
  std::vector<std::string> warnings;
};

// The order in which the split takes images; `member` is what is ordered.
std::vector<int32_t> drawn_order(size_t images, uint64_t seed, uint32_t member) {
  return shuffled(static_cast<int64_t>(images),
                  {.seed = seed, .stream = RandomStream::split, .step = 0, .member = member});
}

// Of so many images of a class; at least one is left to train on.
size_t test_share(size_t images, float val_split) {
  const auto share = static_cast<size_t>(std::lround(static_cast<double>(val_split) * static_cast<double>(images)));
  return std::min(std::max<size_t>(share, 1), images - 1);
}

void add_left_out(const fs::path& folder, const std::map<std::string, int64_t>& left_out,
                  std::vector<std::string>& warnings) {
  int64_t all = 0;
  std::vector<std::string> kinds;
  for (const auto& [kind, count] : left_out) {
    all += count;
    kinds.push_back(fmt::format("{} ({})", kind, count));
  }
  if (all > 0)
    warnings.push_back(fmt::format("{}: left out what does not end with .png, .jpg, .jpeg or .bmp: {}", folder.string(),
                                   fmt::join(kinds, ", ")));
}

// The training images come in a random order: --holdout and --limit take some of their end and beginning.
Samples in_random_order(const Samples& samples, uint64_t seed) {
  constexpr uint32_t kAllClasses = 0xFFFFFF;
  Samples result;
  for (const int32_t i : drawn_order(samples.files.size(), seed, kAllClasses)) {
    result.files.push_back(samples.files[static_cast<size_t>(i)]);
    result.labels.push_back(samples.labels[static_cast<size_t>(i)]);
  }
  return result;
}

void add(Samples& samples, const fs::path& file, size_t label) {
  samples.files.push_back(file);
  samples.labels.push_back(static_cast<int32_t>(label));
}

void check_classes(const fs::path& folder, const std::vector<ClassFolder>& classes) {
  if (classes.size() < 2)
    fail(ErrorKind::data,
         "{}: holds one class only, {}; at least two are needed to tell apart, each a folder of its own",
         folder.string(), classes.front().name);
}

// The user's own parts: train/ and test/, or val/.
Listing list_parts(const fs::path& folder, const std::string& test_name) {
  Listing listing;
  std::map<std::string, int64_t> left_out;
  const std::vector<ClassFolder> train = class_folders(folder / "train", left_out);
  check_classes(folder / "train", train);
  for (size_t label = 0; label < train.size(); ++label) {
    listing.classes.push_back(train[label].name);
    for (const fs::path& file : train[label].pictures) add(listing.train, file, label);
  }
  for (const ClassFolder& one : class_folders(folder / test_name, left_out)) {
    const auto at = std::ranges::find(listing.classes, one.name);
    if (at == listing.classes.end())
      fail(ErrorKind::data, "{}: a class that {} does not have; it has {}", (folder / test_name / one.name).string(),
           (folder / "train").string(), fmt::join(listing.classes, ", "));
    for (const fs::path& file : one.pictures)
      add(listing.test, file, static_cast<size_t>(at - listing.classes.begin()));
  }
  add_left_out(folder, left_out, listing.warnings);
  return listing;
}

Listing list_and_split(const fs::path& folder, float val_split, uint64_t seed) {
  Listing listing;
  std::map<std::string, int64_t> left_out;
  const std::vector<ClassFolder> classes = class_folders(folder, left_out);
  check_classes(folder, classes);
  for (size_t label = 0; label < classes.size(); ++label) {
    const std::vector<fs::path>& pictures = classes[label].pictures;
    listing.classes.push_back(classes[label].name);
    const size_t test = test_share(pictures.size(), val_split);
    const std::vector<int32_t> order = drawn_order(pictures.size(), seed, static_cast<uint32_t>(label));
    for (size_t i = 0; i < order.size(); ++i)
      add(i < test ? listing.test : listing.train, pictures[static_cast<size_t>(order[i])], label);
  }
  if (listing.test.files.empty())
    fail(ErrorKind::data,
         "{}: one image of each class leaves none to test on; add more, or make folders train and test",
         folder.string());
  add_left_out(folder, left_out, listing.warnings);
  return listing;
}

Listing list(const fs::path& folder, const DatasetRequest& request) {
  std::error_code none;
  if (!fs::exists(folder, none)) fail(ErrorKind::data, "{}: there is no such folder", folder.string());
  if (!fs::is_directory(folder, none)) fail(ErrorKind::data, "{}: is not a folder", folder.string());
  const auto is_folder = [&](const char* name) { return fs::is_directory(folder / name, none); };
  if (!is_folder("train") || !(is_folder("test") || is_folder("val")))
    return list_and_split(folder, request.val_split > 0 ? request.val_split : kDefaultValSplit, request.seed);
  const std::string test = is_folder("test") ? "test" : "val";
  CHECK(request.val_split == 0, "--val-split: has no effect with {}, which holds train and {}", folder.string(), test);
  Listing listing = list_parts(folder, test);
  if (test == "test" && is_folder("val"))
    listing.warnings.push_back(
        fmt::format("{}: is not used, accuracies are measured on test", (folder / "val").string()));
  return listing;
}

// Bytes that programs may still take; very many where the system does not tell.
double available_memory() {
  std::ifstream facts("/proc/meminfo");
  for (std::string name, unit; facts >> name;) {
    double kibibytes = 0;
    if (name == "MemAvailable:" && facts >> kibibytes) return 1024 * kibibytes;
    std::getline(facts, unit);
  }
  return 1e18;
}

// Moves the good ones together.
void leave_out(const std::vector<BadImage>& bad, Tensor& images, Samples& samples) {
  const int64_t bytes = images.count() / images.size(0);
  size_t next_bad = 0, kept = 0;
  for (size_t i = 0; i < samples.files.size(); ++i) {
    if (next_bad < bad.size() && bad[next_bad].position == i) {
      ++next_bad;
      continue;
    }
    std::copy_n(images.data<uint8_t>() + static_cast<int64_t>(i) * bytes, bytes,
                images.data<uint8_t>() + static_cast<int64_t>(kept) * bytes);
    samples.labels[kept++] = samples.labels[i];
  }
  samples.labels.resize(kept);
  images = images.slice(0, static_cast<int64_t>(kept));
}

}  // namespace

void check_memory(const std::string& what, double needed_bytes, double available_bytes) {
  constexpr double kGiB = 1 << 30;
  if (needed_bytes > available_bytes)
    fail(ErrorKind::device,
         "{} need {:.1f} GiB of memory, {:.1f} are available; choose a smaller --image-size, or use fewer", what,
         needed_bytes / kGiB, available_bytes / kGiB);
}

Normalisation normalisation_of(const Tensor& images) {
  const int64_t channels = images.size(3);
  const uint8_t* const pixels = images.data<uint8_t>();
  Normalisation result;
  for (int64_t channel = 0; channel < channels; ++channel) {
    uint64_t sum = 0, squares = 0;  // exact
    for (int64_t i = channel; i < images.count(); i += channels) {
      sum += pixels[i];
      squares += uint64_t{pixels[i]} * pixels[i];
    }
    const double n = static_cast<double>(images.count() / channels);
    const double mean = static_cast<double>(sum) / n;
    const double variance = static_cast<double>(squares) / n - mean * mean;
    constexpr double kLeast = 1e-3;  // below: all are equal, but for rounding
    const auto at = static_cast<size_t>(channel);
    result.mean[at] = static_cast<float>(mean / 255);
    result.std[at] = variance > kLeast ? static_cast<float>(std::sqrt(variance) / 255) : 1;
  }
  return result;
}

DatasetSplits load_image_folder(const fs::path& folder, const DatasetRequest& request) {
  Listing listing = list(folder, request);
  listing.train = in_random_order(listing.train, request.seed);
  const int64_t side = request.image_size > 0 ? request.image_size : kDefaultImageSize;
  const size_t all = listing.train.files.size() + listing.test.files.size();
  // Grey ones are moved together while the colours still are there.
  constexpr double kBytesOfPixel = 3 + 1;
  check_memory(fmt::format("{}: {} of {}x{}", folder.string(), counted(static_cast<int64_t>(all), "image"), side, side),
               static_cast<double>(all) * static_cast<double>(side * side) * kBytesOfPixel, available_memory());

  DatasetSplits splits;
  splits.warnings = std::move(listing.warnings);
  std::vector<std::string> bad_ones;
  int64_t before = 0;
  for (const auto& [samples, dataset] : {std::pair{&listing.train, &splits.train}, {&listing.test, &splits.test}}) {
    const auto on_progress = [&](int64_t done, int64_t) {
      if (request.on_progress) request.on_progress(before + done, static_cast<int64_t>(all));
    };
    Tensor images = Tensor::empty({static_cast<int64_t>(samples->files.size()), side, side, 3}, DType::u8, Device{});
    const std::vector<BadImage> bad = decode_images(samples->files, images, request.skip_bad_images, on_progress);
    if (bad.size() == samples->files.size())
      fail(ErrorKind::data, "{}: no image can be read; the first: {}", folder.string(), bad.front().fault);
    for (const BadImage& one : bad) bad_ones.push_back(one.fault);
    before += static_cast<int64_t>(samples->files.size());
    if (!bad.empty()) leave_out(bad, images, *samples);
    dataset->images = images;
    dataset->labels = Tensor::from(std::span<const int32_t>(samples->labels), {images.size(0)}).to(Device{});
    dataset->classes = listing.classes;
  }
  if (!bad_ones.empty())
    splits.warnings.push_back(fmt::format("{}: {} left out that cannot be read; the first: {}", folder.string(),
                                          counted(static_cast<int64_t>(bad_ones.size()), "image"), bad_ones.front()));
  const auto grey = [](const Dataset& set) { return is_grey(set.images.data<uint8_t>(), set.images.count() / 3); };
  if (grey(splits.train) && grey(splits.test)) {
    splits.train.images = as_grey(splits.train.images);
    splits.test.images = as_grey(splits.test.images);
  }
  splits.train.normalisation = splits.test.normalisation = normalisation_of(splits.train.images);
  return splits;
}

}  // namespace convoy
