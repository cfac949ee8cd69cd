// The functions behind the CUDA kernel table, by source file. Contracts stand in tensor/kernels.h; types are taken
// from the table, so a signature is written once.
#pragma once

#include <type_traits>

#include "tensor/kernels.h"

namespace convoy::cuda {

// A declaration with the type of a row: `ROW(scale)` declares `void scale(…)`.
#define ROW(name) std::remove_pointer_t<decltype(Kernels::name)> name

// gemm.cu
ROW(gemm);
// conv2d.cu
ROW(conv2d_forward);
ROW(conv2d_backward_input);
ROW(conv2d_backward_weight);
// pool2d.cu
ROW(max_pool_forward);
ROW(max_pool_backward);
ROW(average_pool_forward);
ROW(average_pool_backward);
// batch_norm.cu
ROW(batch_norm_statistics);
ROW(batch_norm_normalize);
ROW(batch_norm_backward_reduce);
ROW(batch_norm_backward_input);
ROW(batch_norm_update_running);
// elementwise.cu
ROW(unary_forward);
ROW(unary_backward);
ROW(binary_forward);
ROW(binary_backward);
ROW(scale);
ROW(dropout);
ROW(fill);
ROW(convert);
// reduce.cu
ROW(bias_forward);
ROW(column_sum);
ROW(bias_relu_backward);
ROW(sum);
ROW(argmax);
ROW(count_nonfinite);
// softmax_cross_entropy.cu
ROW(softmax_cross_entropy_forward);
ROW(softmax_cross_entropy_backward);
// optimizer.cu
ROW(sgd_step);
ROW(adam_step);
ROW(clip_scale);
ROW(average_step);
// image_batch.cu
ROW(image_batch);

#undef ROW

}  // namespace convoy::cuda
