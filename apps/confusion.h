// Which classes a network takes for which: counts over a data set, and the table of them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace convoy {

class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(std::vector<std::string> classes);

  // Counts one sample more. Both in [0, classes).
  void add(int32_t actual, int32_t predicted);

  int64_t classes() const { return static_cast<int64_t>(classes_.size()); }
  const std::string& name(int64_t actual) const { return classes_[static_cast<size_t>(actual)]; }
  int64_t count(int64_t actual, int64_t predicted) const;
  int64_t samples(int64_t actual) const;  // of this class
  // Percent of the samples of a class that are taken for it; 0 for a class without samples.
  double accuracy(int64_t actual) const;

  // For a terminal of so many columns: a line for each class with its accuracy, its number of samples and, where they
  // fit, its row of the matrix; else the class that it is most often taken for.
  std::string table(std::optional<size_t> columns) const;

 private:
  std::vector<std::string> classes_;
  std::vector<int64_t> counts_;  // [actual, predicted]
};

}  // namespace convoy
