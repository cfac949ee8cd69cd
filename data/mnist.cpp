#include "data/mnist.h"

#include "data/mnist_files.h"
#include "data/places.h"

namespace convoy {

std::filesystem::path find_mnist(const std::filesystem::path& data) {
  return find_mnist_files(places_to_search(data, kMnistFolder));
}

DatasetSplits load_mnist(const std::filesystem::path& folder) {
  constexpr MnistFiles kMnist{.name = "mnist",
                              .classes = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
                              .normalisation = {.mean = {0.5f}, .std = {0.5f, 1, 1, 1}}};
  return load_mnist_files(kMnist, folder);
}

}  // namespace convoy
