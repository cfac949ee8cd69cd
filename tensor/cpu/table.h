// The functions behind the CPU's kernel table, by source file. Contracts stand in tensor/kernels.h; types are taken
// from the table, so a signature is written once. The CPU has no other floats than f32: an Array is a float* here.
#pragma once

#include "tensor/cpu/float_rows.h"
#include "tensor/cpu/isa.h"
#include "tensor/kernels.h"

namespace convoy::CONVOY_ISA {

// A declaration with the type of a row: `ROW(gemm)` declares `void gemm(…)`.
#define ROW(name) FloatRow<decltype(Kernels::name)> name

// gemm.cpp
ROW(gemm);
// conv2d.cpp
ROW(conv2d_forward);
ROW(conv2d_backward_input);
ROW(conv2d_backward_weight);
// pool2d.cpp
ROW(max_pool_forward);
ROW(max_pool_backward);
ROW(average_pool_forward);
ROW(average_pool_backward);
// batch_norm.cpp
ROW(batch_norm_statistics);
ROW(batch_norm_normalize);
ROW(batch_norm_backward_reduce);
ROW(batch_norm_backward_input);
ROW(batch_norm_update_running);
// batch_norm_max_pool.cpp
ROW(batch_norm_max_pool);
ROW(batch_norm_max_pool_backward_input);
// elementwise.cpp
ROW(unary_forward);
ROW(unary_backward);
ROW(binary_forward);
ROW(binary_backward);
ROW(scale);
ROW(dropout);
ROW(fill);
std::remove_pointer_t<decltype(Kernels::convert)> convert;  // from and to bf16, too
// reduce.cpp
ROW(bias_forward);
ROW(column_sum);
ROW(bias_relu_backward);
ROW(sum);
ROW(argmax);
ROW(count_nonfinite);
// softmax_cross_entropy.cpp
ROW(softmax_cross_entropy_forward);
ROW(softmax_cross_entropy_backward);
// optimizer.cpp
ROW(sgd_step);
ROW(adam_step);
ROW(clip_scale);
ROW(average_step);
// gemm_adam_step.cpp
ROW(gemm_adam_step);
// image_batch.cpp
ROW(image_batch);

#undef ROW

}  // namespace convoy::CONVOY_ISA
