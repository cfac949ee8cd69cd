// `convoy data show [DATASET]`: a contact sheet of training images, with the names of their classes.
#include <fmt/format.h>

#include "apps/commands.h"
#include "apps/contact_sheet.h"
#include "apps/data_request.h"
#include "apps/number_text.h"

namespace convoy {
namespace {

constexpr int64_t kDefaultCount = 100;

// The first images of each class, class by class, `count` in all where there are so many.
std::vector<Tile> first_of_each_class(const Dataset& dataset, int64_t count) {
  const auto classes = static_cast<int64_t>(dataset.classes.size());
  std::vector<std::vector<Tile>> of_class(dataset.classes.size());
  for (int64_t i = 0; i < dataset.size(); ++i) {
    const auto label = static_cast<size_t>(dataset.labels.data<int32_t>()[i]);
    const int64_t wanted = count / classes + (static_cast<int64_t>(label) < count % classes);
    if (static_cast<int64_t>(of_class[label].size()) < wanted) of_class[label].push_back({i, {dataset.classes[label]}});
  }
  std::vector<Tile> tiles;
  for (const std::vector<Tile>& some : of_class) tiles.insert(tiles.end(), some.begin(), some.end());
  return tiles;
}

}  // namespace

int run_data_show(const GivenOptions& given) {
  GivenOptions wanted = given;
  if (const auto name = wanted.extract("NAME")) wanted["--dataset"] = name.mapped();
  const Settings settings = resolve(wanted);
  const Dataset images = load_data(settings).train;
  const std::vector<Tile> tiles = first_of_each_class(images, settings.count > 0 ? settings.count : kDefaultCount);
  const std::filesystem::path output =
      settings.output.empty() ? std::filesystem::path(dataset_label(settings.dataset) + ".png") : settings.output;
  const auto classes = static_cast<int64_t>(images.classes.size()), count = static_cast<int64_t>(tiles.size());
  // A class in each row, where these are short enough.
  constexpr int64_t kLongestRow = 20;
  const int64_t of_class = count / classes;
  const int64_t columns = count == of_class * classes && 4 <= of_class && of_class <= kLongestRow ? of_class : 0;
  draw_png(contact_sheet(
               images, tiles, columns,
               fmt::format("{}: {} of {} training images, {}x{}x{}", settings.dataset, count, grouped(images.size()),
                           images.images.size(1), images.images.size(2), images.images.size(3))),
           output);
  fmt::print("{} images of {}: {}\n", count, settings.dataset, output.string());
  return 0;
}

}  // namespace convoy
