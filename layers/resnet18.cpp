// resnet18: He, Zhang, Ren, Sun, "Deep residual learning for image recognition", 2015, in the form used for
// CIFAR: a 3x3 stem with stride 1 and no max pool, then torchvision's four stages of two basic blocks, with
// torchvision's names.
#include "layers/named_models.h"

namespace convoy {
namespace {

// y = relu(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x)); the shortcut is x itself, or a 1x1 convolution
// where the extent changes.
class BasicBlock : public Module {
 public:
  BasicBlock(int64_t in, int64_t out, int64_t stride)
      : conv1_(add_conv("conv1", in, out, stride)),
        bn1_(add<BatchNorm2d>("bn1", out)),
        conv2_(add_conv("conv2", out, out, 1)),
        bn2_(add<BatchNorm2d>("bn2", out)) {
    if (stride == 1 && in == out) return;
    downsample_ = &add<Sequential>("downsample");
    downsample_->append(std::make_unique<Conv2d>(
        Conv2dOptions{.in = in, .out = out, .kernel = {1, 1}, .stride = {stride, stride}, .bias = false}));
    downsample_->append(std::make_unique<BatchNorm2d>(out));
  }

  std::string describe() const override { return "BasicBlock()"; }

 protected:
  Variable forward(const Variable& x) override {
    const Variable y = bn2_.after(conv2_, bn1_.after(conv1_, x, Activation::relu));
    return relu(convoy::add(y, downsample_ ? (*downsample_)(x) : x));
  }

 private:
  Conv2d& add_conv(const char* name, int64_t in, int64_t out, int64_t stride) {
    return add<Conv2d>(name,
                       Conv2dOptions{.in = in, .out = out, .stride = {stride, stride}, .pad = {1, 1}, .bias = false});
  }

  Conv2d& conv1_;
  BatchNorm2d& bn1_;
  Conv2d& conv2_;
  BatchNorm2d& bn2_;
  Sequential* downsample_ = nullptr;
};

class ResNet18 : public Module {
 public:
  ResNet18(int64_t channels, int64_t classes)
      : conv1_(add<Conv2d>("conv1", Conv2dOptions{.in = channels, .out = 64, .pad = {1, 1}, .bias = false})),
        bn1_(add<BatchNorm2d>("bn1", 64)),
        layer1_(add_stage("layer1", 64, 64, 1)),
        layer2_(add_stage("layer2", 64, 128, 2)),
        layer3_(add_stage("layer3", 128, 256, 2)),
        layer4_(add_stage("layer4", 256, 512, 2)),
        fc_(add<Linear>("fc", 512, classes)) {}

  std::string describe() const override { return "ResNet18()"; }

 protected:
  Variable forward(const Variable& x) override {
    const Variable y = layer4_(layer3_(layer2_(layer1_(bn1_.after(conv1_, x, Activation::relu)))));
    return fc_(flatten(global_average_pool2d(y)));
  }

 private:
  Sequential& add_stage(const char* name, int64_t in, int64_t out, int64_t stride) {
    Sequential& stage = add<Sequential>(name);
    stage.append(std::make_unique<BasicBlock>(in, out, stride));
    stage.append(std::make_unique<BasicBlock>(out, out, 1));
    return stage;
  }

  Conv2d& conv1_;
  BatchNorm2d& bn1_;
  Sequential &layer1_, &layer2_, &layer3_, &layer4_;
  Linear& fc_;
};

}  // namespace

std::unique_ptr<Module> build_resnet18(ImageExtent input, int64_t classes) {
  return std::make_unique<ResNet18>(input.c, classes);
}

}  // namespace convoy
