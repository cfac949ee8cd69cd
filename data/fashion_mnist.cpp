#include "data/fashion_mnist.h"

#include "data/mnist_files.h"
#include "data/places.h"

namespace convoy {

std::filesystem::path find_fashion_mnist(const std::filesystem::path& data) {
  std::vector<std::filesystem::path> places = places_to_search(data, kFashionMnistFolder);
  if (data.empty()) std::erase_if(places, [](const auto& place) { return place.filename() != kFashionMnistFolder; });
  return find_mnist_files(places);
}

DatasetSplits load_fashion_mnist(const std::filesystem::path& folder) {
  constexpr MnistFiles kFashionMnist{.name = "fashion-mnist",
                                     .classes = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal",
                                                 "Shirt", "Sneaker", "Bag", "Ankle boot"},
                                     .normalisation = {.mean = {0.2860f}, .std = {0.3530f, 1, 1, 1}}};
  return load_mnist_files(kFashionMnist, folder);
}

}  // namespace convoy
