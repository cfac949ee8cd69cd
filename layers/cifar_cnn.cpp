// cifar-cnn: three times [Conv(3x3, pad 1) BN ReLU MaxPool2] with 32, 64, 128 filters, Flatten, Linear(512)
// ReLU Linear(classes). One of the two networks that comparisons use.
#include "layers/named_models.h"

namespace convoy {
namespace {

class CifarCnn : public Module {
 public:
  CifarCnn(ImageExtent input, int64_t classes)
      : conv1_(add_conv("conv1", input.c, 32)),
        bn1_(add<BatchNorm2d>("bn1", 32)),
        conv2_(add_conv("conv2", 32, 64)),
        bn2_(add<BatchNorm2d>("bn2", 64)),
        conv3_(add_conv("conv3", 64, 128)),
        bn3_(add<BatchNorm2d>("bn3", 128)),
        fc1_(add<Linear>("fc1", (input.h / 8) * (input.w / 8) * 128, 512, ImageExtent{input.h / 8, input.w / 8, 128})),
        fc2_(add<Linear>("fc2", 512, classes)) {}

  std::string describe() const override { return "CifarCnn()"; }

 protected:
  Variable forward(const Variable& x) override {
    Variable y = bn1_.pooled_after(conv1_, x, Activation::relu, kHalve);
    y = bn2_.pooled_after(conv2_, y, Activation::relu, kHalve);
    y = bn3_.pooled_after(conv3_, y, Activation::relu, kHalve);
    return fc2_(fc1_(flatten(y), Activation::relu));
  }

 private:
  Conv2d& add_conv(const char* name, int64_t in, int64_t out) {
    return add<Conv2d>(name, Conv2dOptions{.in = in, .out = out, .pad = {1, 1}});
  }

  static constexpr Window kHalve{2, 2};

  Conv2d& conv1_;
  BatchNorm2d& bn1_;
  Conv2d& conv2_;
  BatchNorm2d& bn2_;
  Conv2d& conv3_;
  BatchNorm2d& bn3_;
  Linear &fc1_, &fc2_;
};

}  // namespace

std::unique_ptr<Module> build_cifar_cnn(ImageExtent input, int64_t classes) {
  CHECK(input.h >= 8 && input.w >= 8,
        "cifar-cnn: images of {}x{} are too small, it halves them three times and needs at least 8x8", input.h,
        input.w);
  return std::make_unique<CifarCnn>(input, classes);
}

}  // namespace convoy
