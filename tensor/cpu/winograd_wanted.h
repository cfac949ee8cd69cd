// When a convolution takes Winograd's way on the CPU (conv2d_winograd.h).
#pragma once

#include "tensor/conv_shape.h"
#include "tensor/device.h"

namespace convoy {

// Whether the stream's algorithm takes it for a shape, in all three directions. It does not depend on the number of images,
// so that each has the same result in any batch.
bool winograd_wanted(const Stream& stream, const Conv2dShape& shape);

}  // namespace convoy
