// Fashion-MNIST: 60,000 training and 10,000 test photographs of clothes, 28 x 28 grey, in files named as MNIST's
// (mnist_files.h). Xiao, Rasul, Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
// Algorithms", 2017.
#pragma once

#include "data/dataset.h"

namespace convoy {

constexpr const char* kFashionMnistFolder = "fashion-mnist";

// The first folder searched that holds at least one of the four files, or an empty path. Files that lie in $CONVOY_DATA
// or the user cache themselves are MNIST's: these have to be in a folder of that name, or be named by `data`.
std::filesystem::path find_fashion_mnist(const std::filesystem::path& data);

DatasetSplits load_fashion_mnist(const std::filesystem::path& folder);

}  // namespace convoy
