#include "apps/mistakes.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "apps/contact_sheet.h"
#include "apps/softmax.h"

namespace convoy {

std::vector<Mistake> worst_mistakes(const Tensor& logits, const Tensor& labels, int64_t count) {
  const auto classes = static_cast<size_t>(logits.size(1));
  std::vector<Mistake> mistakes;
  for (int64_t i = 0; i < labels.count(); ++i) {
    const std::vector<double> shares = softmax({logits.data<float>() + static_cast<size_t>(i) * classes, classes});
    const int32_t actual = labels.data<int32_t>()[i];
    const auto predicted = static_cast<int32_t>(std::ranges::max_element(shares) - shares.begin());
    if (predicted == actual) continue;
    const double right = shares[static_cast<size_t>(actual)];
    mistakes.push_back({.image = i,
                        .actual = actual,
                        .predicted = predicted,
                        .share = shares[static_cast<size_t>(predicted)],
                        .loss = right > 0 ? -std::log(right) : std::numeric_limits<double>::infinity()});
  }
  std::ranges::stable_sort(mistakes, [](const Mistake& a, const Mistake& b) { return a.loss > b.loss; });
  mistakes.resize(std::min(mistakes.size(), static_cast<size_t>(count)));
  return mistakes;
}

Drawing picture_of(const Dataset& dataset, const std::vector<Mistake>& mistakes, const std::string& title) {
  const auto name = [&](int32_t label) { return dataset.classes[static_cast<size_t>(label)]; };
  // In one line where all names are short.
  constexpr size_t kShort = 10;
  const bool one_line = std::ranges::all_of(mistakes, [&](const Mistake& mistake) {
    return name(mistake.actual).size() + name(mistake.predicted).size() <= kShort;
  });
  std::vector<Tile> tiles;
  for (const Mistake& mistake : mistakes) {
    const std::string actual = name(mistake.actual) + " →",
                      predicted = fmt::format("{} {:.1f} %", name(mistake.predicted), 100 * mistake.share);
    tiles.push_back({mistake.image, {}});
    if (one_line) {
      tiles.back().caption = {actual + " " + predicted};
    } else {
      tiles.back().caption = {actual, predicted};
    }
  }
  return contact_sheet(dataset, tiles, 0, title);
}

}  // namespace convoy
