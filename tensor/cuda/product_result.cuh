// Where the elements of a product go, and what is done to them on the way: scattered rows, bias, ReLU, accumulation;
// and the adding up of a product that was computed in pieces.
#pragma once

#include "tensor/cuda/product_operands.cuh"
#include "tensor/functions.h"
#include "tensor/kernels.h"
#include "tensor/memory_pool.h"

namespace convoy::cuda {

constexpr int64_t kEnoughBlocks = 2 * 132;  // two for each multiprocessor of an H200; fewer are worth cutting a sum

// The offset of row (image, i, j) of a product whose rows are pixels: every `step`-th one from `first` on, down and
// across images.
struct PixelRows {
  FastDivisor by_down, by_across;
  int down = 1, across = 1;
  int64_t image_size = 0, step_down = 0, step_across = 0;  // in floats

  __device__ int64_t offset(int row) const {
    const int line = by_across.quotient(row), image = by_down.quotient(line);
    return image * image_size + (line - image * down) * step_down + (row - line * across) * step_across;
  }
};

// C [rows, columns] = or += the product (+ bias [columns]) (then ReLU).
struct ProductResult {
  float* c = nullptr;
  int rows = 0, columns = 0;
  int64_t row_stride = 0, column_stride = 1;
  bool scattered = false;  // rows lie where `pixels` says, not row_stride apart
  PixelRows pixels = {};
  Epilogue epilogue = {};
  bool accumulate = false;
  bool vectors = false;      // neighbours along a row, from an even column on, may be stored at once
  int64_t piece_stride = 0;  // from one piece's C to the next

  // Stores the elements at columns column, column + 1, …; those outside of C are left out. `column` is a multiple of
  // the count.
  template <int count>
  __device__ void store(int piece, int row, int column, const float (&values)[count]) const {
    if (row >= rows) return;
    float* const to = c + piece * piece_stride + (scattered ? pixels.offset(row) : row * row_stride);
    if (vectors && column + count <= columns) {
      Vector<count> out = {};
      if (accumulate) out = load<count>(to + column);
#pragma unroll
      for (int i = 0; i < count; ++i) out[i] = finished(out[i] + values[i], column + i);
      convoy::cuda::store<count>(to + column, out);
      return;
    }
#pragma unroll
    for (int i = 0; i < count; ++i) {
      if (column + i >= columns) return;
      float* const element = to + (column + i) * column_stride;
      *element = finished(accumulate ? *element + values[i] : values[i], column + i);
    }
  }

 private:
  __device__ float finished(float sum, int column) const {
    if (epilogue.bias != nullptr) sum += epilogue.bias[column];
    return epilogue.relu ? Relu::value(sum) : sum;
  }
};

// c = sum over pieces, in a fixed order, of partial [pieces, rows, columns], stored as `result` says. In gemm.cu.
void add_pieces(const Stream& stream, int64_t pieces, const float* partial, const ProductResult& result);

// The workspace of a product in pieces; with one piece there is none.
class PiecesOfProduct {
 public:
  PiecesOfProduct(const Stream& stream, int64_t pieces, const ProductResult& result)
      : pieces_(pieces), result_(result) {
    const int64_t count = int64_t{result.rows} * result.columns;
    if (pieces > 1) memory_ = pool_allocate(stream.device, pieces * count * static_cast<int64_t>(sizeof(float)));
  }

  // Where the kernel stores: the workspace, or what the product is for.
  ProductResult result_of_pieces() const {
    if (pieces_ == 1) return result_;
    return {.c = partial(),
            .rows = result_.rows,
            .columns = result_.columns,
            .row_stride = result_.columns,
            .vectors = result_.columns % 4 == 0,
            .piece_stride = int64_t{result_.rows} * result_.columns};
  }

  void add_up(const Stream& stream) const {
    if (pieces_ > 1) add_pieces(stream, pieces_, partial(), result_);
  }

 private:
  float* partial() const { return reinterpret_cast<float*>(memory_.get()); }

  int64_t pieces_;
  ProductResult result_;
  std::shared_ptr<std::byte> memory_;
};

}  // namespace convoy::cuda
