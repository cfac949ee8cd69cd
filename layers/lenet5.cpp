// lenet5: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition", 1998,
// with today's ReLU and max pooling. Images under 32x32 are padded by two pixels, which brings MNIST's 28x28
// to the paper's 32x32.
#include "layers/named_models.h"

namespace convoy {
namespace {

struct LeNetExtents {
  int64_t pad, h, w;  // the first convolution's padding; the image that is flattened
};

LeNetExtents lenet_extents(ImageExtent input) {
  const int64_t pad = input.h < 32 || input.w < 32 ? 2 : 0;
  const auto after = [pad](int64_t extent) { return ((extent + 2 * pad - 4) / 2 - 4) / 2; };
  return {pad, after(input.h), after(input.w)};
}

class LeNet5 : public Module {
 public:
  LeNet5(ImageExtent input, int64_t classes, const LeNetExtents& extents)
      : conv1_(add<Conv2d>(
            "conv1", Conv2dOptions{.in = input.c, .out = 6, .kernel = {5, 5}, .pad = {extents.pad, extents.pad}})),
        conv2_(add<Conv2d>("conv2", Conv2dOptions{.in = 6, .out = 16, .kernel = {5, 5}})),
        fc1_(add<Linear>("fc1", extents.h * extents.w * 16, 120, ImageExtent{extents.h, extents.w, 16})),
        fc2_(add<Linear>("fc2", 120, 84)),
        fc3_(add<Linear>("fc3", 84, classes)) {}

  std::string describe() const override { return "LeNet5()"; }

 protected:
  Variable forward(const Variable& x) override {
    Variable y = max_pool2d(conv1_(x, Activation::relu), {2, 2}, {2, 2}, {0, 0});
    y = max_pool2d(conv2_(y, Activation::relu), {2, 2}, {2, 2}, {0, 0});
    return fc3_(fc2_(fc1_(flatten(y), Activation::relu), Activation::relu));
  }

 private:
  Conv2d &conv1_, &conv2_;
  Linear &fc1_, &fc2_, &fc3_;
};

}  // namespace

std::unique_ptr<Module> build_lenet5(ImageExtent input, int64_t classes) {
  CHECK(input.h >= 12 && input.w >= 12, "lenet5: images of {}x{} are too small, it needs at least 12x12", input.h,
        input.w);
  return std::make_unique<LeNet5>(input, classes, lenet_extents(input));
}

}  // namespace convoy
