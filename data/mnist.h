// MNIST: 60,000 training and 10,000 test images of handwritten digits, 28 x 28 grey, in four IDX files (mnist_files.h).
// LeCun, Cortes, Burges.
#pragma once

#include "data/dataset.h"

namespace convoy {

constexpr const char* kMnistFolder = "mnist";

// The first folder searched that holds at least one of the four files, or an empty path.
std::filesystem::path find_mnist(const std::filesystem::path& data);

DatasetSplits load_mnist(const std::filesystem::path& folder);

}  // namespace convoy
