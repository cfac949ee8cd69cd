// The fourth rung of the ladder: convolutions of images with few channels, the stems of networks. Their depth R*S*C
// (9, 27) is too short for a product to be worth its copies, and the output is most of the memory traffic. So a block
// takes a tile of the output and the part of the image under it, both in shared memory, padded with zeros there so
// that the arithmetic knows no edges. Shared memory and sums are fp32 whatever the tensors are and the stream's precision:
// memory, not arithmetic, is the limit.
//
// A thread of either kernel holds 8 x 8 sums: 8 filters by 8 pixels forward, by 8 taps backward. A block covers
// 8 * 2^group_bits filters, enough for K, at most 64.
#include "tensor/cuda/conv2d_algorithms.h"
#include "tensor/cuda/intrinsics.cuh"
#include "tensor/cuda/product_result.cuh"

namespace convoy::cuda::direct {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;

// A convolution cut into tiles of tile_p by tile_q output pixels.
struct TiledImages {
  int h, w_elements;  // H, W * C
  int p, q, k, taps;
  int stride_h, stride_elements, pad_h, pad_elements;  // across, in elements: times C
  int window_elements;                                 // S * C
  int tile_p, tile_q, tiles_down, tiles_across, tiles;
  int lines, line_floats;  // the image under a tile
  int group_bits;          // log2 of the groups of 8 filters that a block covers
  bool fours;              // dy may be copied four filters at a time

  __host__ __device__ int groups() const { return 1 << group_bits; }
  __host__ __device__ int filters() const { return 8 << group_bits; }
  __host__ __device__ int image_floats() const { return (lines * line_floats + 3) / 4 * 4; }
};

struct Tile {
  int image, p, q;  // the first pixel
};

__device__ Tile tile_of(const TiledImages& t, int index) {
  const int row = index / t.tiles_across, image = row / t.tiles_down;
  return {image, (row - image * t.tiles_down) * t.tile_p, (index - row * t.tiles_across) * t.tile_q};
}

// Copies one element to shared memory, 0 when it is not `inside`: f32 asynchronously, bf16 as a float and at once.
__device__ void copy_element(float* shared, const float* global, bool inside) { copy_async_4(shared, global, inside); }
__device__ void copy_element(float* shared, const Bf16* global, bool inside) {
  *shared = inside ? to_float(*global) : 0.0f;
}

// The same for four.
__device__ void copy_four(float* shared, const float* global, bool inside) { copy_async_16(shared, global, inside); }
__device__ void copy_four(float* shared, const Bf16* global, bool inside) {
  store(shared, inside ? load<4>(global) : Vector<4>{});
}

// Starts copying the image under a tile to shared memory, [lines, line_floats].
template <class T>
__device__ void copy_image(const TiledImages& t, const Tile& tile, const T* x, float* to) {
  const int top = tile.p * t.stride_h - t.pad_h, left = tile.q * t.stride_elements - t.pad_elements;
  for (int i = static_cast<int>(threadIdx.x); i < t.lines * t.line_floats; i += kThreads) {
    const int line = i / t.line_floats, h = top + line, w = left + i - line * t.line_floats;
    const bool inside = h >= 0 && h < t.h && w >= 0 && w < t.w_elements;
    copy_element(to + i, inside ? x + (int64_t{tile.image} * t.h + h) * t.w_elements + w : x, inside);
  }
}

// The j-th of a thread's filters, counted from the block's first: two runs of four, the runs of neighbouring groups
// side by side.
__device__ int filter_of(const TiledImages& t, int group, int j) {
  return ((j / 4 << t.group_bits) + group) * 4 + j % 4;
}

// Reads the thread's 8 of a line of filters().
__device__ void read_filters(const TiledImages& t, int group, const float* line, float (&values)[8]) {
#pragma unroll
  for (int j = 0; j < 8; j += 4) {
    const auto four = load<4>(line + filter_of(t, group, j));
#pragma unroll
    for (int l = 0; l < 4; ++l) values[j + l] = four[l];
  }
}

// Calls store(i, j, run) for each run of four elements j … j + 3 of line i. The loop is not unrolled, because what stores is
// long and straight code takes longer to fetch than to run; since registers have no index, the lines move up.
template <class Store>
__device__ void store_lines(float (&sums)[8][8], Store&& store) {
#pragma unroll 1
  for (int i = 0; i < 8; ++i) {
#pragma unroll
    for (int j = 0; j < 8; j += 4) store(i, j, Vector<4>{sums[0][j], sums[0][j + 1], sums[0][j + 2], sums[0][j + 3]});
#pragma unroll
    for (int l = 0; l < 7; ++l) {
#pragma unroll
      for (int j = 0; j < 8; ++j) sums[l][j] = sums[l + 1][j];
    }
  }
}

// A block makes a tile of y for some of the filters. Neighbouring threads hold neighbouring groups of filters, then
// neighbouring pixels, so a warp stores whole lines of y. Reads the image under the tile and the filters once, from
// memory or L2, and writes y once.
template <class T>
__global__ void __launch_bounds__(kThreads, 2) direct_forward_kernel(const TiledImages t, const T* __restrict__ x,
                                                                     const T* __restrict__ w, const ProductResult y) {
  float* const image = dynamic_shared<float>();
  float* const filters = image + t.image_floats();  // [taps, filters()]
  const Tile tile = tile_of(t, static_cast<int>(blockIdx.x));
  const int first_filter = static_cast<int>(blockIdx.y) * t.filters();
  copy_image(t, tile, x, image);
  for (int i = static_cast<int>(threadIdx.x); i < t.taps * t.filters(); i += kThreads) {
    const int filter = i / t.taps, tap = i - filter * t.taps;
    const bool inside = first_filter + filter < t.k;
    copy_element(filters + tap * t.filters() + filter, inside ? w + int64_t{first_filter + filter} * t.taps + tap : w,
                 inside);
  }
  copy_async_commit();

  const int group = static_cast<int>(threadIdx.x) & (t.groups() - 1),
            slot = static_cast<int>(threadIdx.x) >> t.group_bits;
  struct Pixel {
    int down, across;  // in the tile
    bool inside;
  };
  const auto pixel_of = [&](int i) -> Pixel {
    const int pixel = slot + i * (kThreads >> t.group_bits), down = pixel / t.tile_q, across = pixel - down * t.tile_q;
    return {down, across, down < t.tile_p && tile.p + down < t.p && tile.q + across < t.q};
  };
  int at[8];  // of the window in `image`
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const Pixel pixel = pixel_of(i);
    at[i] = pixel.inside ? pixel.down * t.stride_h * t.line_floats + pixel.across * t.stride_elements : 0;
  }
  copy_async_wait<0>();
  __syncthreads();

  float sums[8][8] = {};
  const float* line = filters;
  for (int offset = 0; offset < (t.taps / t.window_elements) * t.line_floats; offset += t.line_floats) {
    for (int i = 0; i < t.window_elements; ++i, line += t.filters()) {
      float values[8];
      read_filters(t, group, line, values);
#pragma unroll
      for (int l = 0; l < 8; ++l) {
        const float pixel = image[at[l] + offset + i];
#pragma unroll
        for (int j = 0; j < 8; ++j) sums[l][j] += pixel * values[j];
      }
    }
  }
  store_lines(sums, [&](int i, int j, const Vector<4>& run) {
    const Pixel pixel = pixel_of(i);
    if (!pixel.inside) return;
    y.store(0, (tile.image * t.p + tile.p + pixel.down) * t.q + tile.q + pixel.across,
            first_filter + filter_of(t, group, j), run);
  });
}

// Starts copying dy at a tile's pixels to shared memory, [tile_p * tile_q, filters()].
template <class T>
__device__ void copy_gradient(const TiledImages& t, const Tile& tile, int first_filter, const T* dy, float* to) {
  const int width_bits = t.group_bits + (t.fours ? 1 : 3), step = t.fours ? 4 : 1;
  for (int i = static_cast<int>(threadIdx.x); i < (t.tile_p * t.tile_q) << width_bits; i += kThreads) {
    const int pixel = i >> width_bits, down = pixel / t.tile_q, across = pixel - down * t.tile_q;
    const int filter = first_filter + (i - (pixel << width_bits)) * step;
    const bool inside = filter < t.k && tile.p + down < t.p && tile.q + across < t.q;
    const int64_t row = (int64_t{tile.image} * t.p + tile.p + down) * t.q + tile.q + across;
    const T* const from = inside ? dy + row * t.k + filter : dy;
    if (t.fours) {
      copy_four(to + i * 4, from, inside);
    } else {
      copy_element(to + i, from, inside);
    }
  }
}

// A block sums over a piece of the tiles, for some of the filters and of the taps: blockIdx.x counts pieces, y
// filters, z taps. A warp takes every eighth pixel of a tile; its lanes share the taps and filters among them,
// neighbouring lanes neighbouring groups of filters, then taps. At the end the sums of the eight warps are added in
// order. Reads dy and the image once for each block of taps and of filters.
template <class T>
__global__ void __launch_bounds__(kThreads, 2)
    direct_backward_weight_kernel(const TiledImages t, int tiles_per_piece, const T* __restrict__ x,
                                  const T* __restrict__ dy, const ProductResult dw) {
  float* const shared = dynamic_shared<float>();
  const int stage_floats = t.image_floats() + t.tile_p * t.tile_q * t.filters();
  const int first_filter = static_cast<int>(blockIdx.y) * t.filters();
  const int begin = static_cast<int>(blockIdx.x) * tiles_per_piece;
  const int end = begin + tiles_per_piece < t.tiles ? begin + tiles_per_piece : t.tiles;
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int group = lane & (t.groups() - 1), tap_groups = 32 >> t.group_bits;
  const int first_tap = static_cast<int>(blockIdx.z) * 8 * tap_groups + (lane >> t.group_bits);
  int at[8];  // of the thread's taps in the window of the tile's first pixel
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const int tap = first_tap + i * tap_groups, r = tap / t.window_elements;
    at[i] = tap < t.taps ? r * t.line_floats + tap - r * t.window_elements : 0;
  }
  const auto copy = [&](int index, float* stage) {
    if (index < end) {
      const Tile tile = tile_of(t, index);
      copy_image(t, tile, x, stage);
      copy_gradient(t, tile, first_filter, dy, stage + t.image_floats());
    }
    copy_async_commit();
  };

  float sums[8][8] = {};
  copy(begin, shared);
  for (int index = begin; index < end; ++index) {
    const float* const image = shared + (index - begin) % 2 * stage_floats;
    const float* const gradient = image + t.image_floats();
    copy(index + 1, shared + (index - begin + 1) % 2 * stage_floats);
    copy_async_wait<1>();
    __syncthreads();
    const Tile tile = tile_of(t, index);
    const int height = t.p - tile.p < t.tile_p ? t.p - tile.p : t.tile_p;
    const int width = t.q - tile.q < t.tile_q ? t.q - tile.q : t.tile_q;
    int down = 0, across = warp;
    for (;; across += kWarps) {
      for (; across >= width; across -= width) ++down;
      if (down >= height) break;
      const float* const window = image + down * t.stride_h * t.line_floats + across * t.stride_elements;
      float values[8];
      read_filters(t, group, gradient + (down * t.tile_q + across) * t.filters(), values);
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        const float pixel = window[at[i]];
#pragma unroll
        for (int j = 0; j < 8; ++j) sums[i][j] += pixel * values[j];
      }
    }
    __syncthreads();  // the stage is filled again in the next round
  }

  for (int turn = 0; turn < kWarps; ++turn) {
    if (warp == turn) {
#pragma unroll
      for (int i = 0; i < 8; ++i) {
#pragma unroll
        for (int j = 0; j < 8; ++j) {
          float* const slot = shared + (i * 8 + j) * 32 + lane;
          if (turn > 0) sums[i][j] += *slot;
          *slot = sums[i][j];
        }
      }
    }
    __syncthreads();
  }
  if (warp != kWarps - 1) return;
  store_lines(sums, [&](int i, int j, const Vector<4>& run) {
    dw.store(static_cast<int>(blockIdx.x), first_tap + i * tap_groups, first_filter + filter_of(t, group, j), run);
  });
}

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Cuts P by Q into tiles of about equal size, at most `most_pixels` pixels for 64 filters, and more for fewer.
TiledImages tiled_images(const Conv2dShape& s, int64_t most_pixels, ConstArray dy = nullptr) {
  int bits = 0;
  while (bits < 3 && (8 << bits) < s.k) ++bits;
  most_pixels <<= 3 - bits;
  const int64_t p = std::max<int64_t>(s.p(), 1), q = std::max<int64_t>(s.q(), 1);
  const int64_t tile_q = divide_up(q, divide_up(q, most_pixels));
  const int64_t tile_p = divide_up(p, divide_up(p, most_pixels / tile_q));
  const int64_t tiles_down = divide_up(s.p(), tile_p), tiles_across = divide_up(s.q(), tile_q);
  return {.h = extent(s.h),
          .w_elements = extent(s.w * s.c),
          .p = extent(s.p()),
          .q = extent(s.q()),
          .k = extent(s.k),
          .taps = extent(s.taps()),
          .stride_h = extent(s.stride_h),
          .stride_elements = extent(s.stride_w * s.c),
          .pad_h = extent(s.pad_h),
          .pad_elements = extent(s.pad_w * s.c),
          .window_elements = extent(s.s * s.c),
          .tile_p = static_cast<int>(tile_p),
          .tile_q = static_cast<int>(tile_q),
          .tiles_down = static_cast<int>(tiles_down),
          .tiles_across = static_cast<int>(tiles_across),
          .tiles = extent(s.n * tiles_down * tiles_across),
          .lines = extent((tile_p - 1) * s.stride_h + s.r),
          .line_floats = extent(((tile_q - 1) * s.stride_w + s.s) * s.c),
          .group_bits = bits,
          .fours = s.k % 4 == 0 && aligned_for_vectors(dy)};
}

// Tiles as large as the threads of the forward kernel can hold; as small as it takes for two stages of two blocks to
// share a multiprocessor in the other.
constexpr int64_t kForwardPixels = kThreads, kBackwardPixels = kThreads / 2;

int64_t forward_bytes(const TiledImages& t) {
  return (t.image_floats() + int64_t{t.taps} * t.filters()) * static_cast<int64_t>(sizeof(float));
}

int64_t backward_bytes(const TiledImages& t) {
  const int64_t stages = 2 * (t.image_floats() + int64_t{t.tile_p} * t.tile_q * t.filters());
  return std::max<int64_t>(stages, 64 * 32) * static_cast<int64_t>(sizeof(float));
}

}  // namespace

bool can(const Conv2dShape& shape) {
  constexpr int64_t kMostBytes = 99 << 10, kMostFilters = 1 << 16;
  const auto small = [](int64_t window, int64_t stride) { return window <= 16 && stride <= 16; };
  return shape.c >= 1 && shape.c <= 4 && shape.k <= kMostFilters && small(shape.r, shape.stride_h) &&
         small(shape.s, shape.stride_w) && forward_bytes(tiled_images(shape, kForwardPixels)) <= kMostBytes &&
         backward_bytes(tiled_images(shape, kBackwardPixels)) <= kMostBytes;
}

void forward(const Stream& stream, const Conv2dShape& shape, ConstArray x, ConstArray w, const Epilogue& epilogue,
             Array y) {
  const TiledImages t = tiled_images(shape, kForwardPixels);
  const ProductResult result{.c = y,
                             .rows = extent(shape.output_pixels()),
                             .columns = t.k,
                             .row_stride = t.k,
                             .epilogue = epilogue,
                             .vectors = t.k % 4 == 0 && aligned_for_vectors(y)};
  const Grid grid{.blocks = dim3(static_cast<unsigned>(t.tiles), static_cast<unsigned>(divide_up(t.k, t.filters()))),
                  .threads = kThreads,
                  .shared_bytes = static_cast<size_t>(forward_bytes(t))};
  with_type(x.dtype, [&]<class T> {
    launch("conv2d_forward", stream, grid, direct_forward_kernel<T>, t, x.as<T>(), w.as<T>(), result);
  });
  take_statistics(stream, result.rows, t.k, y, epilogue);
}

void backward_weight(const Stream& stream, const Conv2dShape& shape, ConstArray x, ConstArray dy, bool accumulate,
                     float* dw) {
  if (shape.k == 0 || shape.taps() == 0) return;
  const TiledImages t = tiled_images(shape, kBackwardPixels, dy);
  const ProductResult result{
      .c = dw, .rows = t.taps, .columns = t.k, .row_stride = 1, .column_stride = t.taps, .accumulate = accumulate};
  const int64_t filter_blocks = divide_up(t.k, t.filters()), tap_blocks = divide_up(t.taps, 256 >> t.group_bits);
  const int64_t wanted = std::max<int64_t>(kEnoughBlocks / (filter_blocks * tap_blocks), 1);
  const int64_t tiles_per_piece = std::max<int64_t>(divide_up(t.tiles, wanted), 1);
  const int64_t pieces = std::max<int64_t>(divide_up(t.tiles, tiles_per_piece), 1);  // one writes the zeros of no image
  const PiecesOfProduct workspace(stream, pieces, result);
  const Grid grid{.blocks = dim3(static_cast<unsigned>(pieces), static_cast<unsigned>(filter_blocks),
                                 static_cast<unsigned>(tap_blocks)),
                  .threads = kThreads,
                  .shared_bytes = static_cast<size_t>(backward_bytes(t))};
  with_type(x.dtype, [&]<class T> {
    launch("conv2d_backward_weight", stream, grid, direct_backward_weight_kernel<T>, t,
           static_cast<int>(tiles_per_piece), x.as<T>(), dy.as<T>(), workspace.result_of_pieces());
  });
  workspace.add_up(stream);
}

}  // namespace convoy::cuda::direct
