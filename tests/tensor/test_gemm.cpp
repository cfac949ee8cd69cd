// gemm against the naive reference, on shapes one off every tile (6 and 14 rows; 8, 16 and 32 columns) and one off
// every packed block (140 rows with AVX-512, else 132, 256 columns, a depth of 320).
#include "tests/tensor/kernel_test.h"

namespace convoy {
namespace {

class Gemm : public EveryBackend {
 protected:
  // Result is GuardedArray, or Guarded<float> for an f32 result whatever the operands are.
  template <class Result = GuardedArray>
  void check(const GemmShape& s, bool accumulate, bool with_bias, bool relu, Draw& draw) {
    SCOPED_TRACE(testing::Message() << "m " << s.m << " n " << s.n << " k " << s.k << " transpose " << s.transpose_a
                                    << s.transpose_b << " accumulate " << accumulate << " bias " << with_bias
                                    << " relu " << relu);
    const std::vector<float> a = stored(draw.reals(s.m * s.k)), b = stored(draw.reals(s.k * s.n)),
                             bias = draw.reals(s.n), start = stored(draw.reals(s.m * s.n));
    Result c = accumulate ? Result(start) : Result(s.m * s.n);
    kernels().gemm(stream, s, in_array(a), in_array(b), {.bias = with_bias ? in(bias) : nullptr, .relu = relu},
                   accumulate, c.data());

    const Values initial = accumulate ? widen(start) : Values{}, wide_bias = with_bias ? widen(bias) : Values{};
    const Values expected = reference::gemm(s, widen(a), widen(b), initial, wide_bias, relu);
    const Values magnitude =
        reference::gemm(s, absolute(widen(a)), absolute(widen(b)), absolute(initial), absolute(wide_bias));
    // k products, the initial value and the bias; the ReLU does not enlarge an error.
    const auto products = [&] { return reference::gemm(s, absolute(widen(a)), absolute(widen(b))); };
    expect_within(result_of(c), expected,
                  draw.exact() ? Values(expected.size())
                               : product_roundoff(stream, static_cast<double>(s.k) + 2, magnitude, products));
    EXPECT_TRUE(c.intact()) << "wrote outside c";
  }

 private:
  static const GuardedArray& result_of(const GuardedArray& c) { return c; }
  static std::vector<float> result_of(const Guarded<float>& c) { return c.values(); }
};

INSTANTIATE_FOR_VARIANTS(Gemm, Variants::precisions);

TEST_P(Gemm, matches_reference_on_generated_shapes) {
  Draw draw(1);
  for (int i = 0; i < cases(240) && !HasFailure(); ++i) {
    GemmShape s;
    s.m = draw.pick({0,  1,  2,  3,  5,  6,  7,  11,  12,  13,  14,  15,  23,  27,  28,  29,  41,
                     42, 43, 64, 83, 84, 85, 97, 127, 128, 131, 132, 133, 139, 140, 141, 265, 281});
    s.n = draw.pick(
        {0, 1, 2, 3, 7, 8, 9, 10, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 95, 96, 97, 128, 255, 256, 257});
    s.k = draw.pick({0, 1, 2, 3, 4, 5, 8, 9, 13, 16, 27, 31, 64, 129, 255, 319, 320, 321, 641});
    s.transpose_a = draw.coin();
    s.transpose_b = draw.coin();
    check(s, draw.coin(), draw.coin(), draw.coin(), draw);
  }
}

TEST_P(Gemm, is_exact_on_small_integers) {
  Draw draw = Draw::of_integers(4);
  for (const GemmShape& shape : {GemmShape{.m = 3, .n = 5, .k = 21632}, GemmShape{.m = 64, .n = 67, .k = 2049},
                                 GemmShape{.m = 131, .n = 130, .k = 129}}) {
    for (int transposes = 0; transposes < 4; ++transposes) {
      GemmShape s = shape;
      s.transpose_a = transposes & 1;
      s.transpose_b = transposes & 2;
      check(s, true, true, false, draw);
    }
  }
}

// The gradient of a weight is f32, also where activations are bf16.
TEST_P(Gemm, gives_f32_from_operands_of_any_type) {
  Draw draw(5);
  for (const GemmShape& s : {GemmShape{.m = 33, .n = 65, .k = 17, .transpose_a = true},
                             GemmShape{.m = 10, .n = 512, .k = 64, .transpose_a = true},
                             GemmShape{.m = 64, .n = 9, .k = 2049, .transpose_b = true}}) {
    for (const bool accumulate : {false, true}) check<Guarded<float>>(s, accumulate, false, false, draw);
  }
}

TEST_P(Gemm, matches_reference_on_shapes_beyond_one_cache_block) {
  Draw draw(2);
  for (const bool transpose_a : {false, true}) {
    // b where it lies, and more steps than one block of a has; the last panel has a column.
    check({.m = 30, .n = 4129, .k = 641, .transpose_a = transpose_a}, true, true, true, draw);
    for (const bool transpose_b : {false, true}) {
      check({.m = 1, .n = 4099, .k = 37, .transpose_a = transpose_a, .transpose_b = transpose_b}, false, true, false,
            draw);
      check({.m = 4099, .n = 3, .k = 37, .transpose_a = transpose_a, .transpose_b = transpose_b}, true, false, false,
            draw);
      check({.m = 517, .n = 67, .k = 19, .transpose_a = transpose_a, .transpose_b = transpose_b}, false, true, true,
            draw);
      check({.m = 3, .n = 5, .k = 21632, .transpose_a = transpose_a, .transpose_b = transpose_b}, false, true, true,
            draw);
      // All columns in one block, and more steps of them than fit: without and with splits of the steps.
      check({.m = 300, .n = 250, .k = 641, .transpose_a = transpose_a, .transpose_b = transpose_b}, true, true, true,
            draw);
      check({.m = 3, .n = 250, .k = 21632, .transpose_a = transpose_a, .transpose_b = transpose_b}, true, true, false,
            draw);
      // More columns than one block has room for.
      check({.m = 5, .n = 8225, .k = 320, .transpose_a = transpose_a, .transpose_b = transpose_b}, true, true, false,
            draw);
      check({.m = 2, .n = 21632, .k = 128, .transpose_a = transpose_a, .transpose_b = transpose_b}, false, false, false,
            draw);
      check({.m = 64, .n = 10, .k = 1031, .transpose_a = transpose_a, .transpose_b = transpose_b}, true, true, false,
            draw);
      check({.m = 131, .n = 130, .k = 129, .transpose_a = transpose_a, .transpose_b = transpose_b}, true, true, true,
            draw);
      // Several parts of rows and of columns; then also of the depth, whose sums are added up at the end.
      check({.m = 131, .n = 515, .k = 33, .transpose_a = transpose_a, .transpose_b = transpose_b}, true, true, true,
            draw);
      check({.m = 127, .n = 257, .k = 641, .transpose_a = transpose_a, .transpose_b = transpose_b}, true, true, true,
            draw);
    }
  }
}

TEST_P(Gemm, gives_the_same_bits_on_every_run) {
  Draw draw(3);
  for (const GemmShape& shape : {GemmShape{.m = 257, .n = 131, .k = 65}, GemmShape{.m = 10, .n = 700, .k = 513},
                                 GemmShape{.m = 700, .n = 10, .k = 513}, GemmShape{.m = 7, .n = 9, .k = 9001}}) {
    for (int transposes = 0; transposes < 4; ++transposes) {
      GemmShape s = shape;
      s.transpose_a = transposes & 1;
      s.transpose_b = transposes & 2;
      const std::vector<float> a = stored(draw.reals(s.m * s.k)), b = stored(draw.reals(s.k * s.n)),
                               bias = draw.reals(s.n);
      const ConstArray on_a = in_array(a), on_b = in_array(b);
      const float* const on_bias = in(bias);
      for (const bool accumulate : {false, true}) {
        expect_same_bits_on_every_run(s.m * s.n, [&](const Stream& on, Array c) {
          kernels().gemm(on, s, on_a, on_b, {.bias = on_bias, .relu = true}, accumulate, c);
        });
      }
    }
  }
}

// More of b than is packed at once for many rows of a; small integers, so that a formula tells the result.
TEST_P(Gemm, is_exact_beyond_what_is_packed_at_once) {
  if (stream.device.kind != Device::Kind::cpu) GTEST_SKIP() << "the CPU's own way of cutting";
  const int64_t m = 290, n = 7300, k = 601;
  std::vector<float> a(static_cast<size_t>(m * k)), b(static_cast<size_t>(k * n));
  const auto row = [](int64_t i) { return static_cast<float>(i % 7 - 3); };
  const auto cell = [](int64_t step, int64_t j) { return static_cast<float>((j + step) % 5 - 2); };
  for (int64_t i = 0; i < m * k; ++i) a[static_cast<size_t>(i)] = row(i / k);
  for (int64_t i = 0; i < k * n; ++i) b[static_cast<size_t>(i)] = cell(i / n, i % n);
  GuardedArray c(m * n);
  std::vector<float> bias(static_cast<size_t>(n));
  for (int64_t j = 0; j < n; ++j) bias[static_cast<size_t>(j)] = static_cast<float>(j % 11);
  kernels().gemm(stream, {.m = m, .n = n, .k = k}, in_array(a), in_array(b), {.bias = in(bias)}, false, c.data());
  const std::vector<float> values = c.values();
  for (int64_t j = 0; j < n; ++j) {
    float sum = 0;
    for (int64_t step = 0; step < k; ++step) sum += cell(step, j);
    for (int64_t i = 0; i < m; ++i)
      ASSERT_EQ(values[static_cast<size_t>(i * n + j)], row(i) * sum + bias[static_cast<size_t>(j)]) << i << ", " << j;
  }
  EXPECT_TRUE(c.intact());
}

// Small integers, so that it does not matter in which order terms are added up.
TEST_P(Gemm, counts_a_product_as_0_where_its_gate_is_not_positive) {
  if (stream.device.kind != Device::Kind::cpu) GTEST_SKIP() << "of the CPU alone";
  Draw draw = Draw::of_integers(6);
  for (const GemmShape& s : {GemmShape{.m = 30, .n = 2065, .k = 641},   // b where it lies
                             GemmShape{.m = 30, .n = 2048, .k = 100},   // block by block
                             GemmShape{.m = 30, .n = 70, .k = 100},     // one block of b
                             GemmShape{.m = 290, .n = 333, .k = 37},    // b packed before
                             GemmShape{.m = 290, .n = 7300, .k = 601},  // … in two parts
                             GemmShape{.m = 10, .n = 70, .k = 1300},    // splits
                             GemmShape{.m = 10, .n = 70, .k = 1300, .transpose_b = true},
                             GemmShape{.m = 70, .n = 33, .k = 5, .transpose_a = true}}) {
    SCOPED_TRACE(testing::Message() << "m " << s.m << " n " << s.n << " k " << s.k);
    const std::vector<float> a = draw.reals(s.m * s.k), b = draw.reals(s.k * s.n), start = draw.reals(s.m * s.n);
    std::vector<float> gate = draw.reals(s.m * s.n);
    gate[0] = NAN;
    Guarded<float> product(s.m * s.n);
    kernels().gemm(stream, s, in(a), in(b), {}, false, product.data());
    for (const bool accumulate : {false, true}) {
      Guarded<float> c = accumulate ? Guarded<float>(start) : Guarded<float>(s.m * s.n);
      kernels().gemm(stream, s, in(a), in(b), {.gate = in(gate)}, accumulate, c.data());
      std::vector<float> expected = product.values();
      for (size_t i = 0; i < expected.size(); ++i)
        expected[i] = (accumulate ? start[i] : 0.0f) + (gate[i] > 0 ? expected[i] : 0.0f);
      expect_equal(c.values(), widen(expected));
      EXPECT_TRUE(c.intact()) << "wrote outside c";
    }
  }
}

TEST_P(Gemm, lets_nan_through_the_fused_relu) {
  const int64_t n = 67;  // columns of whole tiles, and of a part of one
  const std::vector<float> a = {NAN, 1, -1}, b(static_cast<size_t>(n), 1.0f);
  GuardedArray c(3 * n);
  kernels().gemm(stream, {.m = 3, .n = n, .k = 1}, in_array(a), in_array(b), {.relu = true}, false, c.data());
  const std::vector<float> values = c.values();
  for (int64_t j = 0; j < n; ++j) {
    EXPECT_TRUE(std::isnan(values[static_cast<size_t>(j)])) << j;
    EXPECT_EQ(values[static_cast<size_t>(n + j)], 1) << j;
    EXPECT_EQ(values[static_cast<size_t>(2 * n + j)], 0) << j;
  }
}

}  // namespace
}  // namespace convoy
