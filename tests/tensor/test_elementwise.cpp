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
INSTANTIATE_FOR_EVERY_BACKEND(Elementwise);

TEST_P(Elementwise, unary_forward_matches_reference_also_in_place) {
  Draw draw(41);
  for (const Unary function : kUnaryFunctions) {
    for (const int64_t count : array_lengths()) {
      SCOPED_TRACE(fmt::format("{} count {}", name_of(function), count));
      const std::vector<float> x = draw.reals(count, -8, 8);
      const Values expected = reference::unary_forward(function, widen(x));
      // erf, exp and tanh of the C library are within 1 ulp = 2u; each is followed by at most three roundings
      // of values up to max(1, |x|).
      Values tolerance(x.size());
      for (size_t i = 0; i < x.size(); ++i)
        tolerance[i] = 6 * kRoundoff * std::max(1.0, std::fabs(static_cast<double>(x[i])));
      Guarded<float> y(count), in_place(x);
      kernels().unary_forward(stream, function, count, in(x), y.data());
      kernels().unary_forward(stream, function, count, in_place.data(), in_place.data());
      expect_within(y.values(), expected, tolerance);
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
        const std::vector<float> x = draw.reals(count, -8, 8), dy = draw.reals(count), start = draw.reals(count);
        Guarded<float> dx = accumulate ? Guarded<float>(start) : Guarded<float>(count);
        kernels().unary_backward(stream, function, count, in(x), in(dy), accumulate, dx.data());
        // Derivatives are at most 1.13; gelu's, the longest, has some eight roundings of terms below 1.2, and
        // exp(-x^2/2) turns the rounding of its argument, at most 32u, into at most x^2/2 exp(-x^2/2) < 0.37
        // of that.
        Values tolerance(x.size());
        for (size_t i = 0; i < x.size(); ++i)
          tolerance[i] = 16 * kRoundoff * (std::fabs(static_cast<double>(dy[i])) + (accumulate ? 1 : 0));
        expect_within(dx.values(),
                      reference::unary_backward(function, widen(x), widen(dy), accumulate ? widen(start) : Values{}),
                      tolerance);
        EXPECT_TRUE(dx.intact());
      }
    }
  }
}

TEST_P(Elementwise, relu_is_exact_and_lets_nan_through) {
  const std::vector<float> x = {-INFINITY, -1, -0.0f, 0, 1e-45f, 2, INFINITY, NAN};
  Guarded<float> y(8);
  kernels().unary_forward(stream, Unary::relu, 8, in(x), y.data());
  expect_equal(y.values(), {0, 0, 0, 0, static_cast<double>(1e-45f), 2, INFINITY, NAN});
}

TEST_P(Elementwise, saturated_functions_reach_their_limits) {
  const std::vector<float> x = {-200, 200};
  Guarded<float> y(2);
  kernels().unary_forward(stream, Unary::sigmoid, 2, in(x), y.data());
  EXPECT_EQ(y.values(), (std::vector<float>{0, 1}));
  kernels().unary_forward(stream, Unary::tanh, 2, in(x), y.data());
  EXPECT_EQ(y.values(), (std::vector<float>{-1, 1}));
  kernels().unary_forward(stream, Unary::gelu, 2, in(x), y.data());
  expect_equal(y.values(), {0, 200});
}

TEST_P(Elementwise, binary_forward_and_backward_match_reference) {
  Draw draw(43);
  for (const Binary function : kBinaryFunctions) {
    for (const int64_t count : array_lengths()) {
      SCOPED_TRACE(fmt::format("{} count {}", name_of(function), count));
      const std::vector<float> a = draw.reals(count), b = draw.reals(count), dy = draw.reals(count),
                               start = draw.reals(count);
      Guarded<float> y(count), da(count), db(start), in_place(a);
      kernels().binary_forward(stream, function, count, in(a), in(b), y.data());
      kernels().binary_forward(stream, function, count, in_place.data(), in(b), in_place.data());
      kernels().binary_backward(stream, function, count, in(a), in(b), in(dy), false, da.data(), true, db.data());
      Values expected_da(a.size()), expected_db(a.size());
      for (size_t i = 0; i < a.size(); ++i) {
        const double x = static_cast<double>(a[i]), z = static_cast<double>(b[i]), d = static_cast<double>(dy[i]);
        expected_da[i] = d * reference::derivative_a(function, x, z);
        expected_db[i] = static_cast<double>(start[i]) + d * reference::derivative_b(function, x, z);
      }
      // One rounding of a value below 2; two, where a product is added.
      expect_within(y.values(), reference::binary_forward(function, widen(a), widen(b)),
                    roundoff(2, Values(a.size(), 1)));
      expect_within(da.values(), expected_da, roundoff(1, Values(a.size(), 1)));
      expect_within(db.values(), expected_db, roundoff(3, Values(a.size(), 1)));
      EXPECT_EQ(y.values(), in_place.values());
      EXPECT_TRUE(y.intact() && da.intact() && db.intact() && in_place.intact());
    }
  }
}

TEST_P(Elementwise, binary_backward_skips_an_unwanted_side) {
  const std::vector<float> a = {2, 2, 2}, b = {4, 4, 4}, dy = {1, 2, 3};
  Guarded<float> da(3), db(3);
  kernels().binary_backward(stream, Binary::multiply, 3, in(a), in(b), in(dy), false, da.data(), false, nullptr);
  EXPECT_EQ(da.values(), (std::vector<float>{4, 8, 12}));
  kernels().binary_backward(stream, Binary::multiply, 3, in(a), in(b), in(dy), false, nullptr, false, db.data());
  EXPECT_EQ(db.values(), (std::vector<float>{2, 4, 6}));
}

TEST_P(Elementwise, scale_and_fill_write_every_element) {
  Draw draw(44);
  for (const int64_t count : array_lengths()) {
    const std::vector<float> x = draw.reals(count);
    Guarded<float> y(count), filled(count), in_place(x);
    kernels().scale(stream, count, -0.5f, in(x), y.data());  // a power of two: exact
    kernels().scale(stream, count, -0.5f, in_place.data(), in_place.data());
    kernels().fill(stream, count, 2.5f, filled.data());
    const std::vector<float> scaled = y.values();
    for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(scaled[i], -0.5f * x[i]);
    EXPECT_EQ(y.values(), in_place.values());
    EXPECT_EQ(filled.values(), std::vector<float>(x.size(), 2.5f));
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
        const std::vector<float> x = draw.reals(count, 1, 2);
        Guarded<float> y(count), in_place(x);
        kernels().dropout(stream, count, probability, key, offset, in(x), y.data());
        kernels().dropout(stream, count, probability, key, offset, in_place.data(), in_place.data());
        // The difference, the reciprocal and the product.
        expect_within(y.values(), reference::dropout(probability, key, offset, widen(x)),
                      roundoff(4, Values(x.size(), 4)));
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
    const std::vector<float> x = draw.reals(4099);
    std::vector<float> expected(x.size());
    cpu_kernel_tables().front()->dropout({}, 4099, 0.3f, key, offset, x.data(), expected.data());
    Guarded<float> y(4099);
    kernels().dropout(stream, 4099, 0.3f, key, offset, in(x), y.data());
    EXPECT_EQ(y.values(), expected);
  }
}

TEST_P(Elementwise, gives_the_same_bits_on_every_run) {
  Draw draw(46);
  const int64_t count = 70'001;
  const std::vector<float> x = draw.reals(count, -4, 4), dy = draw.reals(count);
  const float *const on_x = in(x), *const on_dy = in(dy);
  for (const Unary function : kUnaryFunctions) {
    expect_same_bits_on_every_run(
        count, [&](const Stream& on, float* y) { kernels().unary_forward(on, function, count, on_x, y); });
    expect_same_bits_on_every_run(count, [&](const Stream& on, float* dx) {
      kernels().unary_backward(on, function, count, on_x, on_dy, true, dx);
    });
  }
  for (const Binary function : kBinaryFunctions) {
    expect_same_bits_on_every_run(
        count, [&](const Stream& on, float* y) { kernels().binary_forward(on, function, count, on_x, on_dy, y); });
    expect_same_bits_on_every_run(count, [&](const Stream& on, float* da) {
      kernels().binary_backward(on, function, count, on_x, on_dy, on_dy, true, da, false, nullptr);
    });
  }
  expect_same_bits_on_every_run(count, [&](const Stream& on, float* y) { kernels().scale(on, count, 0.3f, on_x, y); });
  expect_same_bits_on_every_run(count, [&](const Stream& on, float* y) { kernels().fill(on, count, 0.3f, y); });
  expect_same_bits_on_every_run(
      count, [&](const Stream& on, float* y) { kernels().dropout(on, count, 0.3f, {.seed = 5}, 3, on_x, y); });
}

}  // namespace
}  // namespace convoy
