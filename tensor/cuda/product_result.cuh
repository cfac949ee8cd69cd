// Where the elements of a product go, and what is done to them on the way: scattered rows, bias, ReLU, accumulation;
// the adding up of a product that was computed in pieces, and the statistics of its columns.
#pragma once

#include "tensor/cuda/product_operands.cuh"
#include "tensor/cuda/table.h"
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
  int64_t image_size = 0, step_down = 0, step_across = 0;  // in elements

  __device__ int64_t offset(int row) const {
    const int line = by_across.quotient(row), image = by_down.quotient(line);
    return image * image_size + (line - image * down) * step_down + (row - line * across) * step_across;
  }
};

// C [rows, columns] = or += the product (+ bias [columns]) (then ReLU).
struct ProductResult {
  Array c = nullptr;
  int rows = 0, columns = 0;
  int64_t row_stride = 0, column_stride = 1;
  bool scattered = false;  // rows lie where `pixels` says, not row_stride apart
  PixelRows pixels = {};
  Epilogue epilogue = {};
  bool accumulate = false;
  bool vectors = false;      // neighbours along a row, from every fourth column on, may be stored at once
  int64_t piece_stride = 0;  // from one piece's C to the next
  float* moments = nullptr;  // when not null: = mean and M2 of each tile's part of a column [tiles down][2][columns]

  // Stores the elements at columns column, column + 1, …; those outside of C are left out. `column` is a multiple of
  // the count.
  template <int count>
  __device__ void store(int piece, int row, int column, const Vector<count>& sums) const {
    if (row >= rows) return;
    const int64_t at =
        piece * piece_stride + (scattered ? pixels.offset(row) : row * row_stride) + column * column_stride;
    if (vectors && column + count <= columns) return store_at(at, column, sums);
#pragma unroll
    for (int i = 0; i < count; ++i) {
      if (column + i < columns) store_at(at + i * column_stride, column + i, Vector<1>{sums[i]});
    }
  }

  // What C holds of these elements without accumulation, as floats; 0 outside of its columns.
  template <int count>
  __device__ Vector<count> stored(Vector<count> sums, int column) const {
#pragma unroll
    for (int i = 0; i < count; ++i) {
      sums[i] = column + i < columns ? finished(sums[i], column + i) : 0.0f;
      if (c.dtype == DType::bf16) sums[i] = to_float(to_bf16(sums[i]));
    }
    return sums;
  }

 private:
  // Neighbours in memory. Written so that what depends on the type are single instructions: this is inlined many times.
  template <int count>
  __device__ void store_at(int64_t at, int column, Vector<count> out) const {
    const bool bf16 = c.dtype == DType::bf16;
    if (accumulate) {
      const Vector<count> before = bf16 ? load<count>(c.as<Bf16>() + at) : load<count>(c.as<float>() + at);
#pragma unroll
      for (int i = 0; i < count; ++i) out[i] += before[i];
    }
#pragma unroll
    for (int i = 0; i < count; ++i) out[i] = finished(out[i], column + i);
    if (bf16) {
      convoy::cuda::store(c.as<Bf16>() + at, out);
    } else {
      convoy::cuda::store(c.as<float>() + at, out);
    }
  }

  __device__ float finished(float sum, int column) const {
    if (epilogue.bias != nullptr) sum += epilogue.bias[column];
    return epilogue.relu ? Relu::value(sum) : sum;
  }
};

// True when the array may be accessed four elements at a time, from every fourth on.
inline bool aligned_for_vectors(const ConstArray& c) {
  return c.dtype == DType::bf16 ? aligned(c.as<Bf16>()) : aligned(c.as<float>());
}

// c = sum over pieces, in a fixed order, of partial [pieces, rows, columns], stored as `result` says. In gemm.cu.
void add_pieces(const Stream& stream, int64_t pieces, const float* partial, const ProductResult& result);

// mean, variance [columns] = those of a matrix of so many rows, from the mean and M2 of each run of rows_per_piece rows,
// moments [pieces][2][columns]. In batch_norm.cu.
void merge_moments(const Stream& stream, int64_t rows, int64_t columns, int64_t rows_per_piece, const float* moments,
                   float* mean, float* variance);

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

// The batch statistics that an epilogue asks for, if it does, from the finished y [rows, columns] in memory.
inline void take_statistics(const Stream& stream, int64_t rows, int64_t columns, ConstArray y,
                            const Epilogue& epilogue) {
  if (epilogue.mean != nullptr) batch_norm_statistics(stream, rows, columns, y, epilogue.mean, epilogue.variance);
}

// The same for a product. Where the product is not cut into pieces, each tile leaves the moments of
// its columns on the way, which a second kernel merges; else they are taken from the finished C. Nothing where none are
// asked for.
class MomentsOfProduct {
 public:
  MomentsOfProduct(const Stream& stream, int64_t pieces, int64_t tiles_down, const ProductResult& result)
      : result_(result) {
    if (result.epilogue.mean != nullptr && pieces == 1)
      memory_ = pool_allocate(stream.device, tiles_down * 2 * result.columns * static_cast<int64_t>(sizeof(float)));
  }

  ProductResult added_to(ProductResult result) const {
    result.moments = reinterpret_cast<float*>(memory_.get());
    return result;
  }

  void finish(const Stream& stream, int64_t rows_per_tile) const {
    const Epilogue& epilogue = result_.epilogue;
    if (memory_ != nullptr) {
      merge_moments(stream, result_.rows, result_.columns, rows_per_tile, reinterpret_cast<const float*>(memory_.get()),
                    epilogue.mean, epilogue.variance);
    } else {
      take_statistics(stream, result_.rows, result_.columns, result_.c, epilogue);
    }
  }

 private:
  ProductResult result_;
  std::shared_ptr<std::byte> memory_;
};

}  // namespace convoy::cuda
