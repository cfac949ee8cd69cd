// Data sets in the four files of MNIST: 60,000 training and 10,000 test images with their labels, 0 to 9, as IDX
// (idx.h).
#pragma once

#include <array>

#include "data/dataset.h"

namespace convoy {

struct MnistFiles {
  const char* name;  // of the data set
  std::array<const char*, 10> classes;
  Normalisation normalisation;
};

// The first of `places` that holds at least one of the four files, or an empty path.
std::filesystem::path find_mnist_files(const std::vector<std::filesystem::path>& places);

// Those of the four files that are in `folder`, under whichever spelling is read.
std::vector<std::filesystem::path> mnist_files_in(const std::filesystem::path& folder);

// What one of the four files holds: "10000 images of 28x28". Throws Error(data) when it is damaged.
std::string describe_mnist_file(const std::filesystem::path& file);

// Reads train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte,
// each plain or .gz, also spelt with a dot (train-images.idx3-ubyte). Throws Error(data) for a file that is
// missing, damaged or does not fit the others.
DatasetSplits load_mnist_files(const MnistFiles& set, const std::filesystem::path& folder);

}  // namespace convoy
