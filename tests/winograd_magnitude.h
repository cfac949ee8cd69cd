// How large the terms become that Winograd's convolution adds up: the algorithm with every number replaced by its
// absolute value. Multiplied by the roundings on a result's way and the unit of roundoff it bounds the error, whatever
// cancels. The matrices come from the definition (Toom-Cook at six points), not from the kernels' formulas; F(4x4, 3x3)
// for images, F(3x3, 4x4) for weights.
#pragma once

#include "tests/reference.h"

namespace convoy::reference {

// Of y, from |x| and |w|.
Values winograd_forward_magnitude(const Conv2dShape& s, const Values& x, const Values& w);
// Of dx, from |dy| and |w|: the mirrored convolution.
Values winograd_backward_input_magnitude(const Conv2dShape& s, const Values& dy, const Values& w);
// Of dw, from |x| and |dy|.
Values winograd_backward_weight_magnitude(const Conv2dShape& s, const Values& x, const Values& dy);

}  // namespace convoy::reference
