// Batch norm and max pooling in one pass against the two kernels that do it one after the other: the same bits.
#include "tests/tensor/kernel_test.h"

namespace convoy {
namespace {

constexpr float kEpsilon = 1e-5f;

class BatchNormMaxPool : public EveryBackend {
 protected:
  // Windows side by side; with and without pixels that lie in none.
  static Pool2dShape draw_shape(Draw& draw) {
    Pool2dShape s;
    s.n = draw.pick({0, 1, 1, 2, 3});
    s.c = draw.pick({0, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 67, 128});
    s.r = s.stride_h = draw.pick({1, 2, 2, 2, 3, 4});
    s.s = s.stride_w = draw.pick({1, 2, 2, 2, 3, 4});
    s.h = s.r + draw.between(0, 9);
    s.w = s.s + draw.between(0, 9);
    return s;
  }
};
INSTANTIATE_FOR_EVERY_BACKEND(BatchNormMaxPool);

struct Case {
  Pool2dShape shape;
  int64_t pixels, windows;  // of all images
  bool relu;
  std::vector<float> x, dy, mean, variance, gamma, beta;

  Case(const Pool2dShape& s, Draw& draw)
      : shape(s),
        pixels(s.n * s.h * s.w),
        windows(s.n * s.p() * s.q()),
        relu(draw.coin()),
        x(draw.reals(pixels * s.c, -3, 5)),
        dy(draw.reals(windows * s.c)),
        mean(draw.reals(s.c, 0, 2)),
        variance(draw.reals(s.c, 0.1f, 4)),
        gamma(draw.reals(s.c, 0.5f, 2)),
        beta(draw.reals(s.c)) {
    for (size_t c = 0; c < gamma.size(); c += 3) gamma[c] *= -1;
    for (size_t i = 0; i < x.size(); i += 5) x[i] = x[i / 2];  // equal ones in some windows
    for (size_t i = 3; i < x.size(); i += 31) x[i] = NAN;
    for (size_t i = 7; i < x.size(); i += 37) x[i] = i % 2 == 0 ? INFINITY : -INFINITY;
  }
};

std::string text(const Case& t) {
  const Pool2dShape& s = t.shape;
  return fmt::format("n {} h {} w {} c {} r {} s {} relu {}", s.n, s.h, s.w, s.c, s.r, s.s, t.relu);
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

TEST_P(BatchNormMaxPool, forward_has_the_bits_of_its_two_parts) {
  Draw draw(41);
  for (int i = 0; i < cases(300) && !HasFailure(); ++i) {
    const Case t(draw_shape(draw), draw);
    SCOPED_TRACE(text(t));
    const int64_t count = t.windows * t.shape.c;
    Guarded<float> normalised(t.pixels * t.shape.c), two_y(count), y(count), x_at_max(count), y_alone(count);
    Guarded<uint8_t> two_index(count), index(count);
    kernels().batch_norm_normalize(stream, t.pixels, t.shape.c, in(t.x), in(t.mean), in(t.variance), kEpsilon,
                                   in(t.gamma), in(t.beta), t.relu, normalised.data());
    kernels().max_pool_forward(stream, t.shape, normalised.data(), two_y.data(), two_index.data());
    kernels().batch_norm_max_pool(stream, t.shape, in(t.x), in(t.mean), in(t.variance), kEpsilon, in(t.gamma),
                                  in(t.beta), t.relu, y.data(), x_at_max.data(), index.data());
    kernels().batch_norm_max_pool(stream, t.shape, in(t.x), in(t.mean), in(t.variance), kEpsilon, in(t.gamma),
                                  in(t.beta), t.relu, y_alone.data(), nullptr, nullptr);
    EXPECT_TRUE(same_bits(y.values(), two_y.values()));
    EXPECT_TRUE(same_bits(y_alone.values(), two_y.values()));
    EXPECT_EQ(index.values(), two_index.values());

    std::vector<float> expected;
    for (int64_t n = 0; n < t.shape.n; ++n)
      for (int64_t p = 0; p < t.shape.p(); ++p)
        for (int64_t q = 0; q < t.shape.q(); ++q)
          for (int64_t c = 0; c < t.shape.c; ++c) {
            const int64_t tap = two_index.values()[expected.size()], row = p * t.shape.r + tap / t.shape.s,
                          column = q * t.shape.s + tap % t.shape.s;
            expected.push_back(t.x[static_cast<size_t>(((n * t.shape.h + row) * t.shape.w + column) * t.shape.c + c)]);
          }
    EXPECT_TRUE(same_bits(x_at_max.values(), expected));
    EXPECT_TRUE(y.intact() && x_at_max.intact() && index.intact() && y_alone.intact());
  }
}

TEST_P(BatchNormMaxPool, backward_input_has_the_bits_of_its_two_parts) {
  Draw draw(42);
  for (int i = 0; i < cases(300) && !HasFailure(); ++i) {
    const Case t(draw_shape(draw), draw);
    SCOPED_TRACE(text(t));
    const bool accumulate = draw.coin();
    const int64_t count = t.pixels * t.shape.c, total_rows = draw.coin() ? t.pixels : 3 * t.pixels + 1;
    const std::vector<float> dgamma = draw.reals(t.shape.c, -9, 9), dbeta = draw.reals(t.shape.c, -9, 9),
                             start = draw.reals(count);
    std::vector<uint8_t> index;
    for (const float value : t.dy) index.push_back(static_cast<uint8_t>(std::fabs(value) * 1e4f));
    for (uint8_t& position : index) position = static_cast<uint8_t>(position % (t.shape.r * t.shape.s));
    Guarded<float> dz(count);
    const std::vector<float> before = accumulate ? start : std::vector<float>(start.size(), NAN);
    Guarded<float> two_dx(before), dx(before);
    kernels().max_pool_backward(stream, t.shape, in(t.dy), in(index), false, dz.data());
    kernels().batch_norm_backward_input(stream, t.pixels, t.shape.c, total_rows, in(t.x), dz.data(), in(t.mean),
                                        in(t.variance), kEpsilon, in(t.gamma), in(t.beta), t.relu, in(dgamma),
                                        in(dbeta), accumulate, two_dx.data());
    kernels().batch_norm_max_pool_backward_input(stream, t.shape, total_rows, in(t.x), in(t.dy), in(index), in(t.mean),
                                                 in(t.variance), kEpsilon, in(t.gamma), in(t.beta), t.relu, in(dgamma),
                                                 in(dbeta), accumulate, dx.data());
    EXPECT_TRUE(same_bits(dx.values(), two_dx.values()));
    EXPECT_TRUE(dx.intact());
  }
}

TEST_P(BatchNormMaxPool, gives_the_same_bits_on_every_run) {
  Draw draw(43);
  for (const int64_t channels : {3, 32, 129}) {
    const Pool2dShape shape{.n = 9, .h = 17, .w = 16, .c = channels, .r = 2, .s = 2, .stride_h = 2, .stride_w = 2};
    const Case t(shape, draw);
    const std::vector<uint8_t> index(t.dy.size(), 2);
    expect_same_bits_on_every_run(2 * t.windows * channels, [&](const Stream& on, float* out) {
      kernels().batch_norm_max_pool(on, shape, in(t.x), in(t.mean), in(t.variance), kEpsilon, in(t.gamma), in(t.beta),
                                    true, out, out + t.windows * channels, nullptr);
    });
    expect_same_bits_on_every_run(t.pixels * channels, [&](const Stream& on, float* dx) {
      kernels().batch_norm_max_pool_backward_input(on, shape, t.pixels, in(t.x), in(t.dy), in(index), in(t.mean),
                                                   in(t.variance), kEpsilon, in(t.gamma), in(t.beta), true, in(t.gamma),
                                                   in(t.beta), true, dx);
    });
  }
}

}  // namespace
}  // namespace convoy
