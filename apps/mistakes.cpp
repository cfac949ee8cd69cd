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

void draw_mistakes(const Dataset& dataset, const std::vector<Mistake>& mistakes, const std::string& title,
                   const std::filesystem::path& output) {
  const auto name = [&](int32_t label) { return dataset.classes[static_cast<size_t>(label)]; };
  std::vector<Tile> tiles;
  for (const Mistake& mistake : mistakes)
    tiles.push_back({.image = mistake.image,
                     .caption = {name(mistake.actual) + " →",
                                 fmt::format("{} {:.1f} %", name(mistake.predicted), 100 * mistake.share)}});
  draw_contact_sheet(dataset, tiles, 0, title, output);
}

}  // namespace convoy
