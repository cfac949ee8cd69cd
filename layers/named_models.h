// The builders behind model_table(), one file each. All take the extent of the input images and the number of
// classes, map [N,H,W,C] to logits [N,classes], and throw Error(usage) for images that are too small for
// their layers.
#pragma once

#include "layers/layers.h"

namespace convoy {

std::unique_ptr<Module> build_mnist_cnn(ImageExtent input, int64_t classes);
std::unique_ptr<Module> build_cifar_cnn(ImageExtent input, int64_t classes);
std::unique_ptr<Module> build_lenet5(ImageExtent input, int64_t classes);
std::unique_ptr<Module> build_resnet18(ImageExtent input, int64_t classes);

}  // namespace convoy
