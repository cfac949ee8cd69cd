// MNIST: 60,000 training and 10,000 test images of handwritten digits, 28 x 28 grey, in four IDX files.
// LeCun, Cortes, Burges. Sets in the same format (Fashion-MNIST) load as well.
#pragma once

#include "data/dataset.h"

namespace convoy {

constexpr const char* kMnistFolder = "mnist";

// The first folder searched that holds at least one of the four files, or an empty path.
std::filesystem::path find_mnist(const std::filesystem::path& data);

// Reads train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte,
// each plain or .gz, also spelt with a dot (train-images.idx3-ubyte). Throws Error(data) for a file that is
// missing, damaged or does not fit the others. `seed` is not used.
DatasetSplits load_mnist(const std::filesystem::path& folder, uint64_t seed);

}  // namespace convoy
