// Max and average pooling, forward and backward, against the naive reference.
#include "tests/tensor/kernel_test.h"

namespace convoy {
namespace {

int64_t image_count(const Pool2dShape& s) { return s.n * s.h * s.w * s.c; }
int64_t result_count(const Pool2dShape& s) { return s.n * s.p() * s.q() * s.c; }

std::string text(const Pool2dShape& s) {
  return fmt::format("n {} h {} w {} c {} r {} s {} stride {}x{} pad {}x{}", s.n, s.h, s.w, s.c, s.r, s.s, s.stride_h,
                     s.stride_w, s.pad_h, s.pad_w);
}

// Half of the shapes have windows side by side (the fast path), with and without pixels left over.
Pool2dShape draw_shape(Draw& draw) {
  Pool2dShape s;
  s.n = draw.pick({0, 1, 1, 2, 3});
  s.c = draw.pick({0, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 67});
  s.r = draw.between(1, 4);
  s.s = draw.between(1, 4);
  s.stride_h = s.r;
  s.stride_w = s.s;
  if (draw.coin()) {
    s.stride_h = draw.between(1, 4);
    s.stride_w = draw.between(1, 4);
    s.pad_h = draw.between(0, s.r / 2);
    s.pad_w = draw.between(0, s.s / 2);
  }
  s.h = s.r + draw.between(0, 9);
  s.w = s.s + draw.between(0, 9);
  return s;
}

class Pool2d : public EveryBackend {};
INSTANTIATE_FOR_VARIANTS(Pool2d, Variants::types);

TEST_P(Pool2d, max_pool_forward_matches_reference_with_ties_infinities_and_nan) {
  Draw draw(21);
  for (int i = 0; i < cases(250) && !HasFailure(); ++i) {
    const Pool2dShape s = draw_shape(draw);
    SCOPED_TRACE(text(s));
    std::vector<float> x(static_cast<size_t>(image_count(s)));
    for (float& value : x) {
      const int64_t kind = draw.between(0, 20);
      value = kind == 0 ? NAN : kind == 1 ? -INFINITY : kind == 2 ? INFINITY : static_cast<float>(draw.between(-2, 2));
    }
    GuardedArray y(result_count(s));
    Guarded<uint8_t> index(result_count(s));
    kernels().max_pool_forward(stream, s, in_array(x), y.data(), index.data());
    const reference::MaxPool expected = reference::max_pool_forward(s, widen(x));
    expect_equal(y, expected.y);
    EXPECT_EQ(index.values(), expected.index);
    EXPECT_TRUE(y.intact() && index.intact());
  }
}

// The largest window: its last pixel has index 255.
TEST_P(Pool2d, max_pool_takes_windows_of_256_pixels) {
  const Pool2dShape s{.n = 1, .h = 16, .w = 16, .c = 19, .r = 16, .s = 16, .stride_h = 16, .stride_w = 16};
  std::vector<float> x(static_cast<size_t>(image_count(s)));
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i / static_cast<size_t>(s.c));
  GuardedArray y(s.c), dx(image_count(s));
  Guarded<uint8_t> index(s.c);
  kernels().max_pool_forward(stream, s, in_array(x), y.data(), index.data());
  expect_equal(y, Values(static_cast<size_t>(s.c), 255));
  EXPECT_EQ(index.values(), std::vector<uint8_t>(static_cast<size_t>(s.c), 255));
  const std::vector<float> dy(static_cast<size_t>(s.c), 3.0f);
  kernels().max_pool_backward(stream, s, in_array(dy), index.data(), false, dx.data());
  Values expected(x.size());
  std::fill(expected.end() - s.c, expected.end(), 3);
  expect_equal(dx, expected);
}

TEST_P(Pool2d, max_pool_backward_matches_reference_on_odd_shapes) {
  Draw draw(22);
  for (int i = 0; i < cases(250) && !HasFailure(); ++i) {
    const Pool2dShape s = draw_shape(draw);
    const bool accumulate = draw.coin();
    SCOPED_TRACE(fmt::format("accumulate {} {}", accumulate, text(s)));
    const std::vector<float> x = stored(draw.reals(image_count(s))), dy = stored(draw.reals(result_count(s))),
                             start = stored(draw.reals(image_count(s)));
    const std::vector<uint8_t> index = reference::max_pool_forward(s, widen(x)).index;
    GuardedArray dx = accumulate ? GuardedArray(start) : GuardedArray(image_count(s));
    kernels().max_pool_backward(stream, s, in_array(dy), in(index), accumulate, dx.data());
    const Values initial = accumulate ? widen(start) : Values{};
    // A pixel lies in at most R*S windows.
    expect_within(dx, reference::max_pool_backward(s, widen(dy), index, initial),
                  roundoff(static_cast<double>(s.r * s.s) + 1,
                           reference::max_pool_backward(s, absolute(widen(dy)), index, absolute(initial))));
    EXPECT_TRUE(dx.intact());
  }
}

TEST_P(Pool2d, average_pool_forward_matches_reference) {
  Draw draw(23);
  for (int i = 0; i < cases(250) && !HasFailure(); ++i) {
    const Pool2dShape s = draw_shape(draw);
    SCOPED_TRACE(text(s));
    const std::vector<float> x = stored(draw.reals(image_count(s)));
    GuardedArray y(result_count(s));
    kernels().average_pool_forward(stream, s, in_array(x), y.data());
    // R*S additions, the reciprocal and the product.
    expect_within(y, reference::average_pool_forward(s, widen(x)),
                  roundoff(static_cast<double>(s.r * s.s) + 2, reference::average_pool_forward(s, absolute(widen(x)))));
    EXPECT_TRUE(y.intact());
  }
}

TEST_P(Pool2d, average_pool_backward_matches_reference) {
  Draw draw(24);
  for (int i = 0; i < cases(250) && !HasFailure(); ++i) {
    const Pool2dShape s = draw_shape(draw);
    const bool accumulate = draw.coin();
    SCOPED_TRACE(fmt::format("accumulate {} {}", accumulate, text(s)));
    const std::vector<float> dy = stored(draw.reals(result_count(s))), start = stored(draw.reals(image_count(s)));
    GuardedArray dx = accumulate ? GuardedArray(start) : GuardedArray(image_count(s));
    kernels().average_pool_backward(stream, s, in_array(dy), accumulate, dx.data());
    const Values initial = accumulate ? widen(start) : Values{};
    expect_within(dx, reference::average_pool_backward(s, widen(dy), initial),
                  roundoff(static_cast<double>(s.r * s.s) + 3,
                           reference::average_pool_backward(s, absolute(widen(dy)), absolute(initial))));
    EXPECT_TRUE(dx.intact());
  }
}

TEST_P(Pool2d, global_average_is_a_window_of_the_whole_image) {
  const Pool2dShape s{.n = 2, .h = 4, .w = 4, .c = 3, .r = 4, .s = 4};
  std::vector<float> x(static_cast<size_t>(image_count(s)));
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 3 + i / 48);  // channel + image
  GuardedArray y(6);
  kernels().average_pool_forward(stream, s, in_array(x), y.data());
  EXPECT_EQ(y.values(), (std::vector<float>{0, 1, 2, 1, 2, 3}));
}

TEST_P(Pool2d, gives_the_same_bits_on_every_run) {
  Draw draw(25);
  for (const Pool2dShape& s :
       {Pool2dShape{.n = 7, .h = 33, .w = 31, .c = 37, .r = 2, .s = 2, .stride_h = 2, .stride_w = 2},
        Pool2dShape{.n = 5, .h = 23, .w = 21, .c = 35, .r = 3, .s = 3, .stride_h = 2, .stride_w = 1, .pad_h = 1}}) {
    const std::vector<float> x = stored(draw.reals(image_count(s))), dy = stored(draw.reals(result_count(s)));
    const std::vector<uint8_t> index = reference::max_pool_forward(s, widen(x)).index;
    const ConstArray on_x = in_array(x), on_dy = in_array(dy);
    const uint8_t* const on_index = in(index);
    expect_same_bits_on_every_run(result_count(s), [&](const Stream& on, Array y) {
      Guarded<uint8_t> found(result_count(s));
      kernels().max_pool_forward(on, s, on_x, y, found.data());
      EXPECT_EQ(found.values(), index);
    });
    expect_same_bits_on_every_run(result_count(s),
                                  [&](const Stream& on, Array y) { kernels().average_pool_forward(on, s, on_x, y); });
    for (const bool accumulate : {false, true}) {
      expect_same_bits_on_every_run(image_count(s), [&](const Stream& on, Array dx) {
        kernels().max_pool_backward(on, s, on_dy, on_index, accumulate, dx);
      });
      expect_same_bits_on_every_run(image_count(s), [&](const Stream& on, Array dx) {
        kernels().average_pool_backward(on, s, on_dy, accumulate, dx);
      });
    }
  }
}

}  // namespace
}  // namespace convoy
