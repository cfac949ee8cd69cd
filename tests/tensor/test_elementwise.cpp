// Elementwise kernels against the formulas in double precision.
#include "tests/tensor/kernel_test.h"

namespace convoy {
namespace {

const Unary kUnaryFunctions[] = {
#define ROW(name, functor) Unary::name,
    CONVOY_UNARY_FUNCTIONS(ROW)
#undef ROW
};
const Binary kBinaryFunctions[] = {
#define ROW(name, functor) Binary::name,
    CONVOY_BINARY_FUNCTIONS(ROW)
#undef ROW
};

class Elementwise : public EveryBackend {};
INSTANTIATE_FOR_VARIANTS(Elementwise, Variants::types);

TEST_P(Elementwise, unary_forward_matches_reference_also_in_place) {
  Draw draw(41);
  for (const Unary function : kUnaryFunctions) {
    for (const int64_t count : array_lengths()) {
      SCOPED_TRACE(fmt::format("{} count {}", name_of(function), count));
      const std::vector<float> x = stored(draw.reals(count, -8, 8));
      const Values expected = reference::unary_forward(function, widen(x));
      // erf, exp and tanh of the C library are within 1 ulp = 2u; each is followed by at most three roundings
      // of values up to max(1, |x|).
      Values tolerance(x.size());
      for (size_t i = 0; i < x.size(); ++i)
        tolerance[i] = 6 * kRoundoff * std::max(1.0, std::fabs(static_cast<double>(x[i])));
      GuardedArray y(count), in_place(x);
      kernels().unary_forward(stream, function, count, in_array(x), y.data());
      kernels().unary_forward(stream, function, count, in_place.data(), in_place.data());
      expect_within(y, expected, tolerance);
      EXPECT_TRUE(y.intact() && in_place.intact());
      EXPECT_EQ(y.values(), in_place.values());
    }
  }
}

TEST_P(Elementwise, unary_backward_matches_reference) {
  Draw draw(42);
  for (const Unary function : kUnaryFunctions) {
    for (const int64_t count : array_lengths()) {
      for (const bool accumulate : {false, true}) {
        SCOPED_TRACE(fmt::format("{} count {} accumulate {}", name_of(function), count, accumulate));
        const std::vector<float> x = stored(draw.reals(count, -8, 8)), dy = stored(draw.reals(count)),
                                 start = stored(draw.reals(count));
        GuardedArray dx = accumulate ? GuardedArray(start) : GuardedArray(count);
        kernels().unary_backward(stream, function, count, in_array(x), in_array(dy), accumulate, dx.data());
        // Derivatives are at most 1.13; gelu's, the longest, has some eight roundings of terms below 1.2, and
        // exp(-x^2/2) turns the rounding of its argument, at most 32u, into at most x^2/2 exp(-x^2/2) < 0.37
        // of that.
        Values tolerance(x.size());
        for (size_t i = 0; i < x.size(); ++i)
          tolerance[i] = 16 * kRoundoff * (std::fabs(static_cast<double>(dy[i])) + (accumulate ? 1 : 0));
        expect_within(dx,
                      reference::unary_backward(function, widen(x), widen(dy), accumulate ? widen(start) : Values{}),
                      tolerance);
        EXPECT_TRUE(dx.intact());
      }
    }
  }
}

TEST_P(Elementwise, relu_is_exact_and_lets_nan_through) {
  const std::vector<float> x = stored({-INFINITY, -1, -0.0f, 0, 1e-45f, 0x1p-133f, 2, INFINITY, NAN});
  GuardedArray y(9);
  kernels().unary_forward(stream, Unary::relu, 9, in_array(x), y.data());
  expect_equal(y, {0, 0, 0, 0, static_cast<double>(x[4]), 0x1p-133, 2, INFINITY, NAN});
}

TEST_P(Elementwise, saturated_functions_reach_their_limits) {
  const std::vector<float> x = {-200, 200};
  GuardedArray y(2);
  kernels().unary_forward(stream, Unary::sigmoid, 2, in_array(x), y.data());
  EXPECT_EQ(y.values(), (std::vector<float>{0, 1}));
  kernels().unary_forward(stream, Unary::tanh, 2, in_array(x), y.data());
  EXPECT_EQ(y.values(), (std::vector<float>{-1, 1}));
  kernels().unary_forward(stream, Unary::gelu, 2, in_array(x), y.data());
  expect_equal(y, {0, 200});
}

TEST_P(Elementwise, binary_forward_and_backward_match_reference) {
  Draw draw(43);
  for (const Binary function : kBinaryFunctions) {
    for (const int64_t count : array_lengths()) {
      SCOPED_TRACE(fmt::format("{} count {}", name_of(function), count));
      const std::vector<float> a = stored(draw.reals(count)), b = stored(draw.reals(count)),
                               dy = stored(draw.reals(count)), start = stored(draw.reals(count));
      GuardedArray y(count), da(count), db(start), in_place(a);
      kernels().binary_forward(stream, function, count, in_array(a), in_array(b), y.data());
      kernels().binary_forward(stream, function, count, in_place.data(), in_array(b), in_place.data());
      kernels().binary_backward(stream, function, count, in_array(a), in_array(b), in_array(dy), false, da.data(), true,
                                db.data());
      Values expected_da(a.size()), expected_db(a.size());
      for (size_t i = 0; i < a.size(); ++i) {
        const double x = static_cast<double>(a[i]), z = static_cast<double>(b[i]), d = static_cast<double>(dy[i]);
        expected_da[i] = d * reference::derivative_a(function, x, z);
        expected_db[i] = static_cast<double>(start[i]) + d * reference::derivative_b(function, x, z);
      }
      // One rounding of a value below 2; two, where a product is added.
      expect_within(y, reference::binary_forward(function, widen(a), widen(b)), roundoff(2, Values(a.size(), 1)));
      expect_within(da, expected_da, roundoff(1, Values(a.size(), 1)));
      expect_within(db, expected_db, roundoff(3, Values(a.size(), 1)));
      EXPECT_EQ(y.values(), in_place.values());
      EXPECT_TRUE(y.intact() && da.intact() && db.intact() && in_place.intact());
    }
  }
}

TEST_P(Elementwise, binary_backward_skips_an_unwanted_side) {
  const std::vector<float> a = {2, 2, 2}, b = {4, 4, 4}, dy = {1, 2, 3};
  GuardedArray da(3), db(3);
  kernels().binary_backward(stream, Binary::multiply, 3, in_array(a), in_array(b), in_array(dy), false, da.data(),
                            false, nullptr);
  EXPECT_EQ(da.values(), (std::vector<float>{4, 8, 12}));
  kernels().binary_backward(stream, Binary::multiply, 3, in_array(a), in_array(b), in_array(dy), false, nullptr, false,
                            db.data());
  EXPECT_EQ(db.values(), (std::vector<float>{2, 4, 6}));
}

TEST_P(Elementwise, scale_and_fill_write_every_element) {
  Draw draw(44);
  for (const int64_t count : array_lengths()) {
    const std::vector<float> x = stored(draw.reals(count));
    GuardedArray y(count), filled(count), in_place(x);
    kernels().scale(stream, count, -0.3f, in_array(x), y.data());
    kernels().scale(stream, count, -0.3f, in_place.data(), in_place.data());
    kernels().fill(stream, count, 0.3f, filled.data());
    const std::vector<float> scaled = y.values();
    for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(scaled[i], stored(-0.3f * x[i]));  // one rounding, the same here
    EXPECT_EQ(y.values(), in_place.values());
    EXPECT_EQ(filled.values(), stored(std::vector<float>(x.size(), 0.3f)));
    EXPECT_TRUE(y.intact() && filled.intact() && in_place.intact());
  }
}

TEST_P(Elementwise, dropout_keeps_the_elements_that_their_random_numbers_keep) {
  Draw draw(45);
  const RandomKey key{.seed = 0x123456789ABCDEF0, .stream = RandomStream::dropout, .step = 7, .member = 3};
  for (const int64_t count : array_lengths()) {
    for (const uint64_t offset : {uint64_t{0}, uint64_t{1}, uint64_t{2}, uint64_t{1003}, (uint64_t{1} << 34) - 5}) {
      for (const float probability : {0.0f, 0.3f, 0.5f}) {
        SCOPED_TRACE(fmt::format("count {} offset {} probability {}", count, offset, probability));
        const std::vector<float> x = stored(draw.reals(count, 1, 2));
        GuardedArray y(count), in_place(x);
        kernels().dropout(stream, count, probability, key, offset, in_array(x), y.data());
        kernels().dropout(stream, count, probability, key, offset, in_place.data(), in_place.data());
        // The difference, the reciprocal and the product.
        expect_within(y, reference::dropout(probability, key, offset, widen(x)), roundoff(4, Values(x.size(), 4)));
        EXPECT_EQ(y.values(), in_place.values());
        EXPECT_TRUE(y.intact() && in_place.intact());
      }
    }
  }
}

TEST_P(Elementwise, dropout_has_the_same_bits_on_every_backend) {
  Draw draw(47);
  const RandomKey key{.seed = 3, .stream = RandomStream::dropout, .step = 2};
  for (const uint64_t offset : {uint64_t{0}, uint64_t{6}}) {
    const std::vector<float> x = stored(draw.reals(4099));
    std::vector<float> expected(x.size());
    cpu_kernel_tables().front()->dropout({}, 4099, 0.3f, key, offset, x.data(), expected.data());
    GuardedArray y(4099);
    kernels().dropout(stream, 4099, 0.3f, key, offset, in_array(x), y.data());
    EXPECT_EQ(y.values(), stored(expected));
  }
}

TEST_P(Elementwise, gives_the_same_bits_on_every_run) {
  Draw draw(46);
  const int64_t count = 70'001;
  const std::vector<float> x = stored(draw.reals(count, -4, 4)), dy = stored(draw.reals(count));
  const ConstArray on_x = in_array(x), on_dy = in_array(dy);
  for (const Unary function : kUnaryFunctions) {
    expect_same_bits_on_every_run(
        count, [&](const Stream& on, Array y) { kernels().unary_forward(on, function, count, on_x, y); });
    expect_same_bits_on_every_run(count, [&](const Stream& on, Array dx) {
      kernels().unary_backward(on, function, count, on_x, on_dy, true, dx);
    });
  }
  for (const Binary function : kBinaryFunctions) {
    expect_same_bits_on_every_run(
        count, [&](const Stream& on, Array y) { kernels().binary_forward(on, function, count, on_x, on_dy, y); });
    expect_same_bits_on_every_run(count, [&](const Stream& on, Array da) {
      kernels().binary_backward(on, function, count, on_x, on_dy, on_dy, true, da, false, nullptr);
    });
  }
  expect_same_bits_on_every_run(count, [&](const Stream& on, Array y) { kernels().scale(on, count, 0.3f, on_x, y); });
  expect_same_bits_on_every_run(count, [&](const Stream& on, Array y) { kernels().fill(on, count, 0.3f, y); });
  expect_same_bits_on_every_run(
      count, [&](const Stream& on, Array y) { kernels().dropout(on, count, 0.3f, {.seed = 5}, 3, on_x, y); });
}

}  // namespace
}  // namespace convoy
