// mnist-cnn: Conv(C,32,3) ReLU Flatten Linear(128) ReLU Linear(classes). One of the two networks that
// comparisons use.
#include "layers/named_models.h"

namespace convoy {
namespace {

class MnistCnn : public Module {
 public:
  MnistCnn(ImageExtent input, int64_t classes)
      : conv1_(add<Conv2d>("conv1", Conv2dOptions{.in = input.c, .out = kFilters})),
        fc1_(add<Linear>("fc1", (input.h - 2) * (input.w - 2) * kFilters, 128,
                         ImageExtent{input.h - 2, input.w - 2, kFilters})),
        fc2_(add<Linear>("fc2", 128, classes)) {}

  std::string describe() const override { return "MnistCnn()"; }

 protected:
  Variable forward(const Variable& x) override {
    const Variable features = flatten(conv1_(x, Activation::relu));
    return fc2_(fc1_(features, Activation::relu));
  }

 private:
  static constexpr int64_t kFilters = 32;
  Conv2d& conv1_;
  Linear &fc1_, &fc2_;
};

}  // namespace

std::unique_ptr<Module> build_mnist_cnn(ImageExtent input, int64_t classes) {
  CHECK(input.h >= 3 && input.w >= 3, "mnist-cnn: images of {}x{} are too small, it needs at least 3x3", input.h,
        input.w);
  return std::make_unique<MnistCnn>(input, classes);
}

}  // namespace convoy
