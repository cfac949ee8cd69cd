// Bias, sums, argmax and the count of non-finite values against the naive reference.
#include <limits>

#include "tests/tensor/kernel_test.h"

namespace convoy {
namespace {

class Reduce : public EveryBackend {
 protected:
  // Calls body(rows, columns) for 200 shapes around the widths of a register and the pieces of a long sum.
  template <class Body>
  void for_matrices(Draw& draw, Body&& body) {
    for (int i = 0; i < cases(200) && !HasFailure(); ++i) {
      const int64_t rows = draw.pick({0, 1, 2, 3, 5, 16, 17, 63, 64, 65, 127, 257, 1031});
      const int64_t columns =
          draw.pick({0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 131});
      SCOPED_TRACE(fmt::format("rows {} columns {}", rows, columns));
      body(rows, columns);
    }
  }
};
INSTANTIATE_FOR_VARIANTS(Reduce, Variants::types);

TEST_P(Reduce, bias_forward_matches_reference_also_in_place) {
  Draw draw(51);
  for_matrices(draw, [&](int64_t rows, int64_t columns) {
    const std::vector<float> x = stored(draw.reals(rows * columns)), bias = draw.reals(columns);
    GuardedArray y(rows * columns), in_place(x);
    kernels().bias_forward(stream, rows, columns, in_array(x), in(bias), y.data());
    kernels().bias_forward(stream, rows, columns, in_place.data(), in(bias), in_place.data());
    expect_within(y, reference::bias_forward(columns, widen(x), widen(bias)), roundoff(1, Values(x.size(), 2)));
    EXPECT_EQ(y.values(), in_place.values());
    EXPECT_TRUE(y.intact() && in_place.intact());
  });
}

TEST_P(Reduce, column_sum_matches_reference) {
  Draw draw(52);
  for_matrices(draw, [&](int64_t rows, int64_t columns) {
    const bool accumulate = draw.coin();
    const std::vector<float> x = stored(draw.reals(rows * columns)), start = draw.reals(columns);
    Guarded<float> out = accumulate ? Guarded<float>(start) : Guarded<float>(columns);
    kernels().column_sum(stream, rows, columns, in_array(x), accumulate, out.data());
    const Values initial = accumulate ? widen(start) : Values{};
    expect_within(out.values(), reference::column_sum(rows, columns, widen(x), initial),
                  roundoff(static_cast<double>(rows) + 1,
                           reference::column_sum(rows, columns, absolute(widen(x)), absolute(initial))));
    EXPECT_TRUE(out.intact());
  });
}

TEST_P(Reduce, bias_relu_backward_matches_reference_also_in_place) {
  Draw draw(53);
  for_matrices(draw, [&](int64_t rows, int64_t columns) {
    const bool accumulate = draw.coin();
    std::vector<float> y = stored(draw.reals(rows * columns));
    for (float& value : y) value = std::max(value, 0.0f);
    const std::vector<float> dy = stored(draw.reals(rows * columns)), start = draw.reals(columns);
    GuardedArray dz(rows * columns), in_place(dy);
    Guarded<float> dbias = accumulate ? Guarded<float>(start) : Guarded<float>(columns);
    kernels().bias_relu_backward(stream, rows, columns, in_array(y), in_array(dy), dz.data(), accumulate, dbias.data());
    kernels().bias_relu_backward(stream, rows, columns, in_array(y), in_place.data(), in_place.data(), false, nullptr);
    const Values expected = reference::relu_backward(widen(y), widen(dy)),
                 initial = accumulate ? widen(start) : Values{};
    expect_equal(dz, expected);
    EXPECT_EQ(dz.values(), in_place.values());
    expect_within(dbias.values(), reference::column_sum(rows, columns, expected, initial),
                  roundoff(static_cast<double>(rows) + 1,
                           reference::column_sum(rows, columns, absolute(expected), absolute(initial))));
    EXPECT_TRUE(dz.intact() && in_place.intact() && dbias.intact());
  });
}

TEST_P(Reduce, sum_is_right_to_the_last_digit) {
  Draw draw(54);
  for (const int64_t count : array_lengths()) {
    const std::vector<float> x = draw.reals(count, -1, 3);
    double expected = 0, magnitude = 0;
    for (const float value : x) {
      expected += static_cast<double>(value);
      magnitude += std::fabs(static_cast<double>(value));
    }
    Guarded<float> out(1);
    kernels().sum(stream, count, in(x), out.data());
    // Both sums are taken in double; the result is rounded once.
    expect_within(out.values(), {expected},
                  {kRoundoff * std::fabs(expected) + static_cast<double>(2 * count) * 0x1p-53 * magnitude});
    EXPECT_TRUE(out.intact());
  }
}

TEST_P(Reduce, argmax_takes_the_first_of_equals) {
  Draw draw(55);
  for_matrices(draw, [&](int64_t rows, int64_t columns) {
    if (columns == 0) return;  // no position to name
    std::vector<float> x(static_cast<size_t>(rows * columns));
    for (float& value : x) value = static_cast<float>(draw.between(-9, 9));
    Guarded<int32_t> out(rows);
    kernels().argmax(stream, rows, columns, in(x), out.data());
    EXPECT_EQ(out.values(), reference::argmax(rows, columns, widen(x)));
    EXPECT_TRUE(out.intact());
  });
}

TEST_P(Reduce, count_nonfinite_finds_each_infinity_and_nan) {
  Draw draw(56);
  for (const int64_t count : array_lengths()) {
    std::vector<float> x = draw.reals(count);
    int32_t expected = 0;
    for (float& value : x) {
      const int64_t kind = draw.between(0, 50);
      if (kind > 4) continue;
      expected += kind <= 2;
      value = kind == 0   ? INFINITY
              : kind == 1 ? -INFINITY
              : kind == 2 ? NAN
              : kind == 3 ? std::numeric_limits<float>::max()
                          : 1e-45f;
    }
    Guarded<int32_t> out(1);
    kernels().count_nonfinite(stream, count, in(x), out.data());
    EXPECT_EQ(out.values(), std::vector<int32_t>{expected}) << "count " << count;
    EXPECT_TRUE(out.intact());
  }
}

TEST_P(Reduce, gives_the_same_bits_on_every_run) {
  Draw draw(57);
  for (const int64_t columns : {1, 10, 64, 129}) {
    const int64_t rows = 100'003 / columns, count = rows * columns;
    const std::vector<float> x = stored(draw.reals(count)), y = stored(draw.reals(count)), bias = draw.reals(columns);
    const ConstArray array_x = in_array(x), array_y = in_array(y);
    const float *const on_x = in(x), *const on_bias = in(bias);
    expect_same_bits_on_every_run(
        count, [&](const Stream& on, Array out) { kernels().bias_forward(on, rows, columns, array_x, on_bias, out); });
    expect_same_bits_on_every_run(
        columns, [&](const Stream& on, float* out) { kernels().column_sum(on, rows, columns, array_x, true, out); });
    expect_same_bits_on_every_run(count, [&](const Stream& on, Array dz) {
      kernels().bias_relu_backward(on, rows, columns, array_y, array_x, dz, false, nullptr);
    });
    GuardedArray dz(count);
    expect_same_bits_on_every_run(columns, [&](const Stream& on, float* dbias) {
      kernels().bias_relu_backward(on, rows, columns, array_y, array_x, dz.data(), true, dbias);
    });
    expect_same_bits_on_every_run(1, [&](const Stream& on, float* out) { kernels().sum(on, count, on_x, out); });
    expect_same_bits_on_every_run(rows, [&](const Stream& on, float* out) {
      kernels().argmax(on, rows, columns, on_x, reinterpret_cast<int32_t*>(out));
    });
    expect_same_bits_on_every_run(1, [&](const Stream& on, float* out) {
      kernels().count_nonfinite(on, count, on_x, reinterpret_cast<int32_t*>(out));
    });
  }
}

}  // namespace
}  // namespace convoy
