// The three convolution kernels against the formula in conv_shape.h: any window, stride and padding, uneven
// in height and width, with channel counts one off the vector widths.
#include "tests/tensor/statistics.h"
#include "tests/winograd_magnitude.h"

namespace convoy {
namespace {

int64_t image_count(const Conv2dShape& s) { return s.n * s.h * s.w * s.c; }
int64_t filter_count(const Conv2dShape& s) { return s.k * s.taps(); }
int64_t result_count(const Conv2dShape& s) { return s.output_pixels() * s.k; }

std::string text(const Conv2dShape& s) {
  return fmt::format("n {} h {} w {} c {} k {} r {} s {} stride {}x{} pad {}x{}", s.n, s.h, s.w, s.c, s.k, s.r, s.s,
                     s.stride_h, s.stride_w, s.pad_h, s.pad_w);
}

// Every extent drawn alone, then shrunk until the reference takes at most about a million multiply-adds.
Conv2dShape draw_shape(Draw& draw) {
  Conv2dShape s;
  s.r = draw.between(1, 5);
  s.s = draw.coin() ? s.r : draw.between(1, 5);
  s.stride_h = draw.between(1, 3);
  s.stride_w = draw.coin() ? s.stride_h : draw.between(1, 3);
  s.pad_h = draw.between(0, s.r);
  s.pad_w = draw.coin() ? s.pad_h : draw.between(0, s.s);
  s.n = draw.pick({0, 1, 1, 2, 2, 3, 3, 5});
  s.c = draw.pick({0, 1, 1, 2, 3, 3, 4, 5, 7, 8, 9, 13, 15, 16, 17, 31, 32, 33, 48, 64});
  s.k = draw.pick({0, 1, 2, 3, 5, 6, 7, 8, 9, 13, 14, 15, 16, 17, 31, 32, 33, 48, 65});
  const auto extent = [&](int64_t window, int64_t pad) {
    const int64_t least = window - 2 * pad > 0 ? window - 2 * pad : 0;
    return draw.pick({least, least + 1, least + 2, 1 + least * 2, 7 + least, 11 + least, 13 + least});
  };
  s.h = extent(s.r, s.pad_h);
  s.w = draw.coin() && s.h + 2 * s.pad_w >= s.s ? s.h : extent(s.s, s.pad_w);
  while (s.multiply_adds() > 1'000'000 && s.n > 1) --s.n;
  while (s.multiply_adds() > 1'000'000) (s.c > s.k ? s.c : s.k) /= 2;
  return s;
}

// Where Winograd's algorithm is asked for: roundings on the way of one number through the transforms of both operands
// and of the result, each along two axes, with at most 5 operations and, of filters, 2 rounded constants.
constexpr double kTransformRoundings = 2 * (5 + 7 + 5);

class Conv2d : public EveryBackend {
 protected:
  // Whether a kernel asked for Winograd's algorithm goes that way; where it cannot it multiplies matrices.
  bool by_winograd(const Conv2dShape& s) const {
    return stream.convolution == ConvolutionAlgorithm::winograd && s.r == 3 && s.s == 3 && s.stride_h == 1 &&
           s.stride_w == 1;
  }
  // Every other case of its tests is one that it can do.
  Conv2dShape draw_shape_for_backend(Draw& draw) {
    Conv2dShape s = draw_shape(draw);
    if (stream.convolution == ConvolutionAlgorithm::winograd && draw.coin()) {
      s.r = s.s = 3;
      s.stride_h = s.stride_w = 1;
      s.h = std::max(s.h, 3 - 2 * s.pad_h);
      s.w = std::max(s.w, 3 - 2 * s.pad_w);
      while (s.multiply_adds() > 1'000'000) (s.c > s.k ? s.c : s.k) /= 2;
    }
    return s;
  }

  void check_forward(const Conv2dShape& s, Draw& draw) {
    SCOPED_TRACE("forward " + text(s));
    const bool with_bias = draw.coin(), relu = draw.coin();
    const std::vector<float> x = stored(draw.reals(image_count(s))), w = stored(draw.reals(filter_count(s))),
                             bias = draw.reals(s.k);
    GuardedArray y(result_count(s));
    Guarded<float> mean(s.k), variance(s.k);
    Epilogue then{.bias = with_bias ? in(bias) : nullptr, .relu = relu};
    const bool statistics = draw.coin();
    if (statistics) {
      then.mean = mean.data();
      then.variance = variance.data();
    }
    kernels().conv2d_forward(stream, s, in_array(x), in_array(w), then, y.data());
    const Values wide_bias = with_bias ? widen(bias) : Values{};
    const Values expected = reference::conv2d_forward(s, widen(x), widen(w), wide_bias, relu);
    const Values magnitude = reference::conv2d_forward(s, absolute(widen(x)), absolute(widen(w)), absolute(wide_bias));
    const auto products = [&] { return reference::conv2d_forward(s, absolute(widen(x)), absolute(widen(w))); };
    if (by_winograd(s)) {
      Values sums = reference::winograd_forward_magnitude(s, absolute(widen(x)), absolute(widen(w)));
      for (size_t i = 0; with_bias && i < sums.size(); ++i) sums[i] += std::fabs(widen(bias)[i % bias.size()]);
      expect_within(y, expected, roundoff(static_cast<double>(s.c) + kTransformRoundings + 2, sums));
    } else {
      expect_within(y, expected,
                    draw.exact() ? Values(expected.size())
                                 : product_roundoff(stream, static_cast<double>(s.taps()) + 2, magnitude, products));
    }
    EXPECT_TRUE(y.intact()) << "wrote outside y";
    if (statistics) expect_statistics(s.output_pixels(), s.k, y.values(), Shift::either, mean, variance);
  }

  void check_backward_input(const Conv2dShape& s, bool accumulate, Draw& draw) {
    SCOPED_TRACE(fmt::format("backward_input accumulate {} {}", accumulate, text(s)));
    const std::vector<float> dy = stored(draw.reals(result_count(s))), w = stored(draw.reals(filter_count(s))),
                             start = stored(draw.reals(image_count(s)));
    GuardedArray dx = accumulate ? GuardedArray(start) : GuardedArray(image_count(s));
    kernels().conv2d_backward_input(stream, s, in_array(dy), in_array(w), accumulate, dx.data());
    const Values initial = accumulate ? widen(start) : Values{};
    const Values expected = reference::conv2d_backward_input(s, widen(dy), widen(w), initial);
    const Values magnitude =
        reference::conv2d_backward_input(s, absolute(widen(dy)), absolute(widen(w)), absolute(initial));
    // A pixel lies in at most R*S windows of each of K filters.
    const auto products = [&] { return reference::conv2d_backward_input(s, absolute(widen(dy)), absolute(widen(w))); };
    if (by_winograd(s)) {
      Values sums = reference::winograd_backward_input_magnitude(s, absolute(widen(dy)), absolute(widen(w)));
      for (size_t i = 0; i < initial.size(); ++i) sums[i] += std::fabs(initial[i]);
      expect_within(dx, expected, roundoff(static_cast<double>(s.k) + kTransformRoundings + 2, sums));
    } else {
      expect_within(dx, expected,
                    draw.exact()
                        ? Values(expected.size())
                        : product_roundoff(stream, static_cast<double>(s.k * s.r * s.s) + 2, magnitude, products));
    }
    EXPECT_TRUE(dx.intact()) << "wrote outside dx";
  }

  void check_backward_weight(const Conv2dShape& s, bool accumulate, Draw& draw) {
    SCOPED_TRACE(fmt::format("backward_weight accumulate {} {}", accumulate, text(s)));
    const std::vector<float> x = stored(draw.reals(image_count(s))), dy = stored(draw.reals(result_count(s))),
                             start = draw.reals(filter_count(s));
    Guarded<float> dw = accumulate ? Guarded<float>(start) : Guarded<float>(filter_count(s));
    kernels().conv2d_backward_weight(stream, s, in_array(x), in_array(dy), accumulate, dw.data());
    const Values initial = accumulate ? widen(start) : Values{};
    const Values expected = reference::conv2d_backward_weight(s, widen(x), widen(dy), initial);
    const Values magnitude =
        reference::conv2d_backward_weight(s, absolute(widen(x)), absolute(widen(dy)), absolute(initial));
    const auto products = [&] { return reference::conv2d_backward_weight(s, absolute(widen(x)), absolute(widen(dy))); };
    if (by_winograd(s)) {
      // One product stands for the 16 pixels of a tile.
      Values sums = reference::winograd_backward_weight_magnitude(s, absolute(widen(x)), absolute(widen(dy)));
      for (size_t i = 0; i < initial.size(); ++i) sums[i] += std::fabs(initial[i]);
      const double tiles = static_cast<double>(s.n * ((s.p() + 3) / 4) * ((s.q() + 3) / 4));
      expect_within(dw.values(), expected, roundoff(tiles + kTransformRoundings + 2, sums));
    } else {
      expect_within(dw.values(), expected,
                    draw.exact()
                        ? Values(expected.size())
                        : product_roundoff(stream, static_cast<double>(s.output_pixels()) + 2, magnitude, products));
    }
    EXPECT_TRUE(dw.intact()) << "wrote outside dw";
  }

  void check_all_directions(const Conv2dShape& s, Draw& draw) {
    check_forward(s, draw);
    for (const bool accumulate : {false, true}) {
      check_backward_input(s, accumulate, draw);
      check_backward_weight(s, accumulate, draw);
    }
  }
};

INSTANTIATE_FOR_VARIANTS(Conv2d, Variants::convolutions);

TEST_P(Conv2d, forward_matches_reference_on_generated_shapes) {
  Draw draw(11);
  for (int i = 0; i < cases(260) && !HasFailure(); ++i) check_forward(draw_shape_for_backend(draw), draw);
}

TEST_P(Conv2d, backward_input_matches_reference_on_generated_shapes) {
  Draw draw(12);
  for (int i = 0; i < cases(260) && !HasFailure(); ++i)
    check_backward_input(draw_shape_for_backend(draw), draw.coin(), draw);
}

TEST_P(Conv2d, backward_weight_matches_reference_on_generated_shapes) {
  Draw draw(13);
  for (int i = 0; i < cases(260) && !HasFailure(); ++i)
    check_backward_weight(draw_shape_for_backend(draw), draw.coin(), draw);
}

// The layers of the models that ship, at a small batch.
const Conv2dShape kLayers[] = {
    {.n = 2, .h = 28, .w = 28, .c = 1, .k = 32, .r = 3, .s = 3},
    {.n = 2, .h = 28, .w = 28, .c = 1, .k = 6, .r = 5, .s = 5, .pad_h = 2, .pad_w = 2},
    {.n = 2, .h = 32, .w = 32, .c = 3, .k = 32, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
    {.n = 3, .h = 16, .w = 16, .c = 32, .k = 64, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
    {.n = 3, .h = 8, .w = 8, .c = 64, .k = 128, .r = 3, .s = 3, .stride_h = 2, .stride_w = 2, .pad_h = 1, .pad_w = 1},
    {.n = 5, .h = 8, .w = 8, .c = 64, .k = 128, .r = 1, .s = 1, .stride_h = 2, .stride_w = 2},
    {.n = 2, .h = 9, .w = 9, .c = 64, .k = 96, .r = 1, .s = 1},
};

TEST_P(Conv2d, all_directions_match_reference_on_model_layers) {
  Draw draw(14);
  for (const Conv2dShape& s : kLayers) check_all_directions(s, draw);
}

TEST_P(Conv2d, all_directions_are_exact_on_small_integers) {
  Draw draw = Draw::of_integers(17);
  for (const Conv2dShape& s : kLayers) check_all_directions(s, draw);
}

// More filters or channels than the 256 columns of one packed block. Columns are K forward, C for
// the input; they are cut among tasks while rows (pixels) are few, and walked block by block within a task where rows make 32
// blocks of 140, which is the CPU's way alone: kernels of a GPU know only tiles, and would take minutes over so many in emulation.
const Conv2dShape kWideLayers[] = {
    {.n = 1, .h = 3, .w = 3, .c = 40, .k = 300, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
    {.n = 1, .h = 3, .w = 3, .c = 300, .k = 40, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
    {.n = 2, .h = 3, .w = 5, .c = 300, .k = 270},
    {.n = 1, .h = 3, .w = 3, .c = 40, .k = 617},
    {.n = 1, .h = 3, .w = 3, .c = 617, .k = 40},
    {.n = 1, .h = 67, .w = 67, .c = 5, .k = 300},
    {.n = 1, .h = 67, .w = 67, .c = 300, .k = 5},
    {.n = 1, .h = 1, .w = 2, .c = 4099, .k = 300},
};

TEST_P(Conv2d, all_directions_match_reference_beyond_one_block_of_columns) {
  Draw draw(16);
  for (const Conv2dShape& s : kWideLayers) {
    if (stream.device.kind == Device::Kind::cpu || s.output_pixels() < 4481) check_all_directions(s, draw);
  }
}

// The im2col matrix of these takes 3 MB: more than it may on a GPU of 128 MiB.
TEST_P(Conv2d, all_directions_match_reference_on_images_whose_matrix_is_large) {
  Draw draw(17);
  check_all_directions({.n = 5, .h = 31, .w = 33, .c = 16, .k = 3, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1}, draw);
}

const Conv2dShape kTiledLayers[] = {
    // More channels than one row of transformed patches has room for, and filters than one task takes.
    {.n = 2, .h = 5, .w = 6, .c = 330, .k = 140, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
    {.n = 2, .h = 5, .w = 6, .c = 140, .k = 330, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
    // The same beside more tiles than filters are transformed anew for.
    {.n = 1, .h = 45, .w = 47, .c = 9, .k = 140, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
    {.n = 1, .h = 45, .w = 47, .c = 140, .k = 9, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
    // Several rows of patches, and micro-tiles, and parts of the columns, at once.
    {.n = 9, .h = 16, .w = 15, .c = 330, .k = 140, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
    // More tiles than are summed at once for the weight; of several parts, too.
    {.n = 3, .h = 121, .w = 123, .c = 8, .k = 8, .r = 3, .s = 3, .pad_h = 0, .pad_w = 1},
    {.n = 3, .h = 60, .w = 60, .c = 4, .k = 140, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
};

TEST_P(Conv2d, all_directions_match_reference_beyond_one_block_of_tiles) {
  if (stream.convolution != ConvolutionAlgorithm::winograd) GTEST_SKIP() << "blocks of Winograd's algorithm";
  Draw draw(18);
  for (const Conv2dShape& s : kTiledLayers) check_all_directions(s, draw);
}

// Each distance for which the CPU has a kernel that reads windows where they lie, of the image and of its gradient; at stride 2 that
// of twice the channels.
TEST_P(Conv2d, all_directions_match_reference_on_windows_that_are_not_packed) {
  if (stream.device.kind != Device::Kind::cpu) GTEST_SKIP() << "the CPU's own way";
  Draw draw(19);
  // The first two before others have made the scratch larger: lines that end behind the last window, and lines that are strided over.
  check_all_directions({.n = 1, .h = 8, .w = 16, .c = 128, .k = 3, .r = 1, .s = 3, .stride_w = 2}, draw);
  check_all_directions(
      {.n = 1, .h = 24, .w = 16, .c = 8, .k = 3, .r = 3, .s = 3, .stride_h = 3, .stride_w = 2, .pad_h = 1, .pad_w = 1},
      draw);
  for (const int64_t channels : {16, 32, 64, 128, 256}) {
    check_all_directions({.n = 1, .h = 7, .w = 9, .c = channels, .k = channels}, draw);
    check_all_directions({.n = 1, .h = 6, .w = 8, .c = channels, .k = channels, .r = 3, .s = 2, .pad_h = 1, .pad_w = 1},
                         draw);
    for (const int64_t pad : {0, 1, 2}) {
      check_all_directions({.n = 2,
                            .h = 10,
                            .w = 15 + pad,
                            .c = channels / 2,
                            .k = channels,
                            .r = 3,
                            .s = 3,
                            .stride_h = 3 - pad,
                            .stride_w = 2,
                            .pad_h = pad,
                            .pad_w = pad},
                           draw);
    }
  }
}

// Windows of few channels that reach beyond images of a line or two, when what scratch holds would show.
TEST_P(Conv2d, backward_weight_matches_reference_on_windows_higher_than_the_image) {
  Draw draw(29);
  const Conv2dShape large{.n = 32, .h = 24, .w = 24, .c = 3, .k = 5, .r = 3, .s = 3, .pad_w = 1};
  const std::vector<float> nans(static_cast<size_t>(image_count(large)), NAN),
      gradient(static_cast<size_t>(result_count(large)), 1.0f);
  Guarded<float> dw(filter_count(large));
  kernels().conv2d_backward_weight(stream, large, in_array(nans), in_array(gradient), false, dw.data());
  for (const int64_t k : {1, 32, 35}) {
    for (const int64_t h : {1, 2, 3}) {
      for (const int64_t r : {3, 5, 7}) {
        for (const int64_t width : {1, 3, 5}) {
          for (const int64_t c : {1, 3}) {
            const Conv2dShape s{
                .n = 18, .h = h, .w = 5, .c = c, .k = k, .r = r, .s = width, .pad_h = r / 2, .pad_w = width / 2};
            check_backward_weight(s, draw.coin(), draw);
          }
        }
      }
    }
  }
}

// So many images that pieces of the sum have several groups of them, or groups of several, the last smaller.
TEST_P(Conv2d, backward_weight_matches_reference_on_groups_of_images) {
  if (stream.device.kind != Device::Kind::cpu) GTEST_SKIP() << "the CPU's own way";
  Draw draw(23);
  for (const int64_t stride : {1, 2}) {
    check_backward_weight({.n = 7 * 32 + 5,
                           .h = 15,
                           .w = 13,
                           .c = 5,
                           .k = 3,
                           .r = 3,
                           .s = 2,
                           .stride_h = stride,
                           .stride_w = stride,
                           .pad_h = 1,
                           .pad_w = 1},
                          draw.coin(), draw);
    check_backward_weight({.n = 7 * 32, .h = 8, .w = 9, .c = 4, .k = 35, .stride_h = stride, .stride_w = stride},
                          draw.coin(), draw);
    check_backward_weight(
        {.n = 2 * 32 + 3, .h = 6, .w = 7, .c = 2, .k = 5, .r = 3, .s = 3, .stride_h = stride, .stride_w = stride},
        draw.coin(), draw);
  }
}

TEST_P(Conv2d, forward_lets_nan_through_the_relu) {
  const Conv2dShape s{.n = 1, .h = 5, .w = 5, .c = 16, .k = 67, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
  std::vector<float> x(static_cast<size_t>(image_count(s)), 1.0f), w(static_cast<size_t>(filter_count(s)), 1.0f);
  x[static_cast<size_t>((2 * s.w + 2) * s.c)] = NAN;
  GuardedArray y(result_count(s));
  kernels().conv2d_forward(stream, s, in_array(x), in_array(w), {.relu = true}, y.data());
  const std::vector<float> values = y.values();
  for (int64_t k = 0; k < s.k; ++k) EXPECT_TRUE(std::isnan(values[static_cast<size_t>((2 * s.w + 2) * s.k + k)])) << k;
}

TEST_P(Conv2d, gives_the_same_bits_on_every_run) {
  Draw draw(15);
  std::vector<Conv2dShape> layers(std::begin(kLayers), std::end(kLayers));
  if (stream.convolution == ConvolutionAlgorithm::winograd) layers.push_back(std::end(kTiledLayers)[-1]);
  for (const Conv2dShape& s : layers) {
    SCOPED_TRACE(text(s));
    const std::vector<float> x = stored(draw.reals(image_count(s))), w = stored(draw.reals(filter_count(s))),
                             dy = stored(draw.reals(result_count(s))), bias = draw.reals(s.k);
    const ConstArray on_x = in_array(x), on_w = in_array(w), on_dy = in_array(dy);
    const float* const on_bias = in(bias);
    expect_same_bits_on_every_run(result_count(s), [&](const Stream& on, Array y) {
      kernels().conv2d_forward(on, s, on_x, on_w, {.bias = on_bias, .relu = true}, y);
    });
    GuardedArray y(result_count(s));
    expect_same_bits_on_every_run(2 * s.k, [&](const Stream& on, float* moments) {
      kernels().conv2d_forward(on, s, on_x, on_w, {.mean = moments, .variance = moments + s.k}, y.data());
    });
    for (const bool accumulate : {false, true}) {
      expect_same_bits_on_every_run(image_count(s), [&](const Stream& on, Array dx) {
        kernels().conv2d_backward_input(on, s, on_dy, on_w, accumulate, dx);
      });
      expect_same_bits_on_every_run(filter_count(s), [&](const Stream& on, float* dw) {
        kernels().conv2d_backward_weight(on, s, on_x, on_dy, accumulate, dw);
      });
    }
  }
}

}  // namespace
}  // namespace convoy
