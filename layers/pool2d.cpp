// The pooling layers: checks and descriptions of their windows.
#include "layers/layers.h"
#include "layers/window_text.h"

namespace convoy {
namespace {

void check_pool(const char* layer, Window size, Window stride, Window pad) {
  CHECK(size.h > 0 && size.w > 0, "{}: window {} must be positive", layer, text_of(size));
  CHECK(stride.h > 0 && stride.w > 0, "{}: stride {} must be positive", layer, text_of(stride));
  CHECK(pad.h >= 0 && pad.w >= 0 && 2 * pad.h <= size.h && 2 * pad.w <= size.w,
        "{}: pad {} must be between 0 and half the window {}", layer, text_of(pad), text_of(size));
}

std::string describe_pool(const char* layer, Window size, Window stride, Window pad) {
  std::string text = fmt::format("{}({}", layer, text_of(size));
  if (stride.h != size.h || stride.w != size.w) text += ", stride " + short_text_of(stride);
  if (pad.h != 0 || pad.w != 0) text += ", pad " + short_text_of(pad);
  return text + ")";
}

}  // namespace

MaxPool2d::MaxPool2d(Window size, Window stride, Window pad) : size_(size), stride_(stride), pad_(pad) {
  check_pool("MaxPool2d", size, stride, pad);
}

std::string MaxPool2d::describe() const { return describe_pool("MaxPool2d", size_, stride_, pad_); }

std::optional<Window> MaxPool2d::size_side_by_side() const {
  const bool side_by_side = stride_.h == size_.h && stride_.w == size_.w && pad_.h == 0 && pad_.w == 0;
  return side_by_side ? std::optional(size_) : std::nullopt;
}

AveragePool2d::AveragePool2d(Window size, Window stride, Window pad) : size_(size), stride_(stride), pad_(pad) {
  check_pool("AveragePool2d", size, stride, pad);
}

std::string AveragePool2d::describe() const { return describe_pool("AveragePool2d", size_, stride_, pad_); }

}  // namespace convoy
