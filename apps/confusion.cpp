#include "apps/confusion.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/number_text.h"
#include "tensor/error.h"

namespace convoy {

ConfusionMatrix::ConfusionMatrix(std::vector<std::string> classes)
    : classes_(std::move(classes)), counts_(classes_.size() * classes_.size()) {}

void ConfusionMatrix::add(int32_t actual, int32_t predicted) {
  CHECK(actual >= 0 && actual < classes() && predicted >= 0 && predicted < classes(),
        "confusion matrix: class {} taken for {}, there are {}", actual, predicted, classes());
  ++counts_[static_cast<size_t>(actual * classes() + predicted)];
}

int64_t ConfusionMatrix::count(int64_t actual, int64_t predicted) const {
  return counts_[static_cast<size_t>(actual * classes() + predicted)];
}

int64_t ConfusionMatrix::samples(int64_t actual) const {
  int64_t sum = 0;
  for (int64_t predicted = 0; predicted < classes(); ++predicted) sum += count(actual, predicted);
  return sum;
}

double ConfusionMatrix::accuracy(int64_t actual) const {
  const int64_t all = samples(actual);
  return all == 0 ? 0 : 100.0 * static_cast<double>(count(actual, actual)) / static_cast<double>(all);
}

std::string ConfusionMatrix::table(std::optional<size_t> columns) const {
  size_t name_width = 5, number_width = 1;
  for (const std::string& name : classes_) name_width = std::max(name_width, name.size());
  for (const int64_t number : counts_) number_width = std::max(number_width, grouped(number).size());
  constexpr size_t kNumbers = 22;  // "  accuracy    samples"
  const size_t cell = number_width + 1;
  const size_t width = name_width + kNumbers + 2 + cell * classes_.size();
  const bool matrix_fits = !columns || width <= *columns;

  std::string text = fmt::format("{:<{}}  accuracy    samples  {}\n", "class", name_width,
                                 matrix_fits ? "taken for each class, in this order" : "most often taken for");
  for (int64_t actual = 0; actual < classes(); ++actual) {
    const int64_t all = samples(actual);
    text += fmt::format("{:<{}}  {:>8} {:>10}  ", classes_[static_cast<size_t>(actual)], name_width,
                        all == 0 ? "-" : fmt::format("{:.2f} %", accuracy(actual)), grouped(all));
    int64_t worst = -1;
    for (int64_t predicted = 0; predicted < classes(); ++predicted) {
      const int64_t number = count(actual, predicted);
      if (matrix_fits) text += fmt::format("{:>{}}", number == 0 ? "." : grouped(number), cell);
      if (predicted != actual && number > 0 && (worst < 0 || number > count(actual, worst))) worst = predicted;
    }
    if (!matrix_fits && worst >= 0)
      text += fmt::format("{} ({})", classes_[static_cast<size_t>(worst)], grouped(count(actual, worst)));
    text.erase(text.find_last_not_of(' ') + 1);
    text += '\n';
  }
  if (!matrix_fits)
    text += fmt::format("The whole matrix takes {} columns; --confusion FILE draws it, and a pipe gets it.\n", width);
  return text;
}

}  // namespace convoy
