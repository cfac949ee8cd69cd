// The optimizer kernels against the formulas in kernels.h, several parameters of odd sizes in one call.
#include "tests/tensor/kernel_test.h"

namespace convoy {
namespace {

// Parameters with gradients and moments, in guarded memory, and what they held at first.
struct Parameters {
  std::vector<std::vector<float>> start_value, start_gradient, start_first, start_second;
  std::vector<Guarded<float>> value, gradient, first, second;
  std::vector<ParameterSlice> slices;

  Parameters(Draw& draw, bool with_first, bool with_second) {
    for (const int64_t size : array_lengths()) {
      start_value.push_back(draw.reals(size));
      start_gradient.push_back(draw.reals(size));
      start_first.push_back(draw.reals(size));
      start_second.push_back(draw.reals(size, 0, 1));
      value.emplace_back(start_value.back());
      gradient.emplace_back(start_gradient.back());
      first.emplace_back(start_first.back());
      second.emplace_back(start_second.back());
      slices.push_back({.count = size,
                        .value = value.back().data(),
                        .gradient = gradient.back().data(),
                        .first = with_first ? first.back().data() : nullptr,
                        .second = with_second ? second.back().data() : nullptr});
    }
  }

  bool intact() const {
    for (const auto* group : {&value, &gradient, &first, &second}) {
      for (const Guarded<float>& array : *group) {
        if (!array.intact()) return false;
      }
    }
    return true;
  }

  // value, first and second of all parameters, one after the other.
  std::vector<float> all() const {
    std::vector<float> joined;
    for (const auto* group : {&value, &first, &second}) {
      for (const Guarded<float>& array : *group) {
        const std::vector<float> values = array.values();
        joined.insert(joined.end(), values.begin(), values.end());
      }
    }
    return joined;
  }
};

class OptimizerKernels : public EveryBackend {};
INSTANTIATE_FOR_EVERY_BACKEND(OptimizerKernels);

TEST_P(OptimizerKernels, sgd_step_matches_reference_in_every_variant) {
  Draw draw(71);
  for (int variant = 0; variant < 8; ++variant) {
    const bool momentum = variant & 1;
    const SgdStep step{.lr = 0.1f,
                       .momentum = momentum ? 0.9f : 0.0f,
                       .weight_decay = variant & 2 ? 0.01f : 0.0f,
                       .nesterov = momentum && (variant & 4) != 0};
    SCOPED_TRACE(fmt::format("variant {}", variant));
    Parameters p(draw, momentum, false);
    kernels().sgd_step(stream, step, p.slices);
    for (size_t i = 0; i < p.value.size(); ++i) {
      Values value = widen(p.start_value[i]), buffer = momentum ? widen(p.start_first[i]) : Values{};
      reference::sgd_step(step, value, widen(p.start_gradient[i]), buffer);
      // All values are at most 3, and at most six roundings deep.
      if (momentum) expect_within(p.first[i].values(), buffer, roundoff(8, Values(buffer.size(), 3)));
      expect_within(p.value[i].values(), value, roundoff(8, Values(value.size(), 3)));
    }
    EXPECT_TRUE(p.intact());
  }
}

TEST_P(OptimizerKernels, adam_step_matches_reference_in_every_variant) {
  Draw draw(72);
  for (int variant = 0; variant < 8; ++variant) {
    const int t = variant & 1 ? 1 : 1000;
    const AdamStep step{.lr = 1e-2f,
                        .weight_decay = variant & 2 ? 0.01f : 0.0f,
                        .decoupled = (variant & 4) != 0,
                        .correction1 = static_cast<float>(1 - std::pow(0.9, t)),
                        .correction2 = static_cast<float>(1 - std::pow(0.999, t))};
    SCOPED_TRACE(fmt::format("variant {}", variant));
    Parameters p(draw, true, true);
    kernels().adam_step(stream, step, p.slices);
    for (size_t i = 0; i < p.value.size(); ++i) {
      const Values start = widen(p.start_value[i]);
      Values value = start, first = widen(p.start_first[i]), second = widen(p.start_second[i]);
      reference::adam_step(step, value, widen(p.start_gradient[i]), first, second);
      expect_within(p.first[i].values(), first, roundoff(6, Values(first.size(), 1)));
      expect_within(p.second[i].values(), second, roundoff(6, Values(second.size(), 1)));
      // The update is lr / correction1 * first / root: six roundings in first (of values up to 1), eight in
      // the rest.
      Values tolerance(value.size());
      for (size_t j = 0; j < value.size(); ++j) {
        const double root =
            std::sqrt(second[j] / static_cast<double>(step.correction2)) + static_cast<double>(step.epsilon);
        const double rate = static_cast<double>(step.lr) / static_cast<double>(step.correction1) / root;
        tolerance[j] = kRoundoff * (rate * (6 + 10 * std::fabs(first[j])) + 3 * std::fabs(start[j]));
        // An error of 6u in second matters where second itself is small.
        tolerance[j] += rate * std::fabs(first[j]) * 3 * kRoundoff / second[j];
      }
      expect_within(p.value[i].values(), value, tolerance);
    }
    EXPECT_TRUE(p.intact());
  }
}

TEST_P(OptimizerKernels, clip_scale_matches_reference) {
  Draw draw(74);
  Parameters p(draw, false, false);
  Values all;
  for (const std::vector<float>& gradient : p.start_gradient) all.insert(all.end(), gradient.begin(), gradient.end());
  for (const float max_norm : {1e-3f, 1.0f, 100.0f, 1e6f}) {
    SCOPED_TRACE(max_norm);
    Guarded<float> scale(1);
    kernels().clip_scale(stream, max_norm, p.slices, scale.data());
    const double expected = reference::clip_scale(max_norm, all);
    EXPECT_EQ(expected == 1, max_norm == 1e6f);
    // Taken in double, and rounded once.
    expect_within(scale.values(), {expected}, {expected * (kRoundoff + static_cast<double>(2 * all.size()) * 0x1p-53)});
    EXPECT_TRUE(scale.intact() && p.intact());
  }
}

TEST_P(OptimizerKernels, clip_scale_keeps_what_is_not_finite) {
  const std::vector<float> before(5, 1.0f);
  for (const float spoilt : {NAN, INFINITY}) {
    std::vector<float> after(20'001, 1.0f);
    after[17'003] = spoilt;
    Guarded<float> scale(1);
    const std::vector<ParameterSlice> slices{
        {.count = 5, .gradient = in(before)}, {.count = 0}, {.count = 20'001, .gradient = in(after)}};
    kernels().clip_scale(stream, 1, slices, scale.data());
    const float found = scale.values()[0];
    EXPECT_TRUE(std::isnan(spoilt) ? std::isnan(found) : found == 0) << spoilt << " gives " << found;
  }
}

TEST_P(OptimizerKernels, steps_multiply_gradients_by_the_scale) {
  Draw draw(75);
  const std::vector<float> scale{0.3f};
  const SgdStep sgd{.lr = 0.1f, .momentum = 0.9f, .weight_decay = 0.01f, .gradient_scale = in(scale)};
  const SgdStep plain{.lr = 0.1f, .weight_decay = 0.01f, .gradient_scale = in(scale)};
  const AdamStep adam{.lr = 1e-2f, .weight_decay = 0.01f, .gradient_scale = in(scale)};
  Parameters p(draw, true, false), without_momentum(draw, false, false), q(draw, true, true);
  kernels().sgd_step(stream, sgd, p.slices);
  kernels().sgd_step(stream, plain, without_momentum.slices);
  kernels().adam_step(stream, adam, q.slices);
  const auto scaled = [&](const std::vector<float>& gradient) {
    Values values = widen(gradient);
    for (double& value : values) value *= static_cast<double>(scale[0]);
    return values;
  };
  for (size_t i = 0; i < p.value.size(); ++i) {
    // One rounding more than without a scale.
    Values value = widen(p.start_value[i]), buffer = widen(p.start_first[i]), none;
    reference::sgd_step(sgd, value, scaled(p.start_gradient[i]), buffer);
    expect_within(p.first[i].values(), buffer, roundoff(9, Values(buffer.size(), 3)));
    expect_within(p.value[i].values(), value, roundoff(9, Values(value.size(), 3)));
    value = widen(without_momentum.start_value[i]);
    reference::sgd_step(plain, value, scaled(without_momentum.start_gradient[i]), none);
    expect_within(without_momentum.value[i].values(), value, roundoff(9, Values(value.size(), 3)));
    Values weight = widen(q.start_value[i]), first = widen(q.start_first[i]), second = widen(q.start_second[i]);
    reference::adam_step(adam, weight, scaled(q.start_gradient[i]), first, second);
    expect_within(q.first[i].values(), first, roundoff(7, Values(first.size(), 1)));
    expect_within(q.second[i].values(), second, roundoff(7, Values(second.size(), 1)));
  }
  EXPECT_TRUE(p.intact() && without_momentum.intact() && q.intact());
}

TEST_P(OptimizerKernels, average_step_matches_reference) {
  Draw draw(76);
  Parameters p(draw, true, false);
  for (ParameterSlice& slice : p.slices) slice.gradient = nullptr;  // not read
  kernels().average_step(stream, 0.3f, p.slices);
  for (size_t i = 0; i < p.value.size(); ++i) {
    Values average = widen(p.start_first[i]);
    for (size_t j = 0; j < average.size(); ++j)
      average[j] += static_cast<double>(0.3f) * (static_cast<double>(p.start_value[i][j]) - average[j]);
    expect_within(p.first[i].values(), average, roundoff(3, Values(average.size(), 2)));
    EXPECT_EQ(p.value[i].values(), p.start_value[i]);
  }
  EXPECT_TRUE(p.intact());
}

// On shapes that end inside and at every tile, with few and with the most terms, some of them in several tasks.
TEST_P(OptimizerKernels, gemm_adam_step_has_the_bits_of_its_two_parts) {
  if (stream.device.kind != Device::Kind::cpu) GTEST_SKIP() << "a kernel of the CPU";
  Draw draw(77);
  const AdamStep step{.lr = 1e-2f, .weight_decay = 0.01f, .correction1 = 0.3f, .correction2 = 0.2f};
  for (const GemmShape& shape :
       {GemmShape{.m = 14, .n = 32, .k = 64}, GemmShape{.m = 13, .n = 31, .k = 7}, GemmShape{.m = 29, .n = 65, .k = 40},
        GemmShape{.m = 7, .n = 16, .k = kMostGemmAdamTerms}, GemmShape{.m = 281, .n = 261, .k = 3},
        GemmShape{.m = 131, .n = 1031, .k = 50}, GemmShape{.m = 2, .n = 9000, .k = kMostGemmAdamTerms},
        GemmShape{.m = 6, .n = 9, .k = 1}, GemmShape{.m = 5, .n = 33, .k = 0}, GemmShape{.m = 0, .n = 3, .k = 2},
        GemmShape{.m = 3, .n = 0, .k = 2}}) {
    for (const bool decoupled : {false, true}) {
      SCOPED_TRACE(fmt::format("{} x {}, {} terms, decoupled {}", shape.m, shape.n, shape.k, decoupled));
      AdamStep variant = step;
      variant.decoupled = decoupled;
      const int64_t count = shape.m * shape.n;
      const std::vector<float> a = draw.reals(shape.k * shape.m), b = draw.reals(shape.k * shape.n),
                               value = draw.reals(count), first = draw.reals(count), second = draw.reals(count, 0, 1);
      Guarded<float> gradient(count), one[] = {Guarded<float>(value), Guarded<float>(first), Guarded<float>(second)},
                                      two[] = {Guarded<float>(value), Guarded<float>(first), Guarded<float>(second)};
      const ParameterSlice slice{.count = count,
                                 .value = two[0].data(),
                                 .gradient = gradient.data(),
                                 .first = two[1].data(),
                                 .second = two[2].data()};
      kernels().gemm(stream, {.m = shape.m, .n = shape.n, .k = shape.k, .transpose_a = true}, in(a), in(b), {}, false,
                     gradient.data());
      kernels().adam_step(stream, variant, {&slice, 1});
      const ParameterSlice weight{
          .count = count, .value = one[0].data(), .first = one[1].data(), .second = one[2].data()};
      kernels().gemm_adam_step(stream, shape.m, shape.n, shape.k, in(a), in(b), variant, weight);
      for (int array = 0; array < 3; ++array) {
        EXPECT_EQ(one[array].values(), two[array].values()) << "array " << array;
        EXPECT_TRUE(one[array].intact()) << "array " << array;
      }
    }
  }
}

TEST_P(OptimizerKernels, no_parameters_are_no_work) {
  kernels().adam_step(stream, {}, {});
  kernels().sgd_step(stream, {}, {});
  kernels().average_step(stream, 0.5f, {});
  Guarded<float> scale(1);
  kernels().clip_scale(stream, 1, {}, scale.data());
  EXPECT_EQ(scale.values()[0], 1);
}

TEST_P(OptimizerKernels, gives_the_same_bits_on_every_run) {
  std::vector<float> first_sgd, first_adam, first_scale;
  for (int run = 0; run < GetParam().runs; ++run) {
    Stream on = stream;
    GetParam().vary(run, on);
    arrays_placed = 0;
    Draw draw(73);
    Parameters sgd(draw, true, false), adam(draw, true, true);
    kernels().sgd_step(on, {.lr = 0.1f, .momentum = 0.9f, .weight_decay = 0.1f, .nesterov = true}, sgd.slices);
    kernels().adam_step(on, {.lr = 0.1f, .weight_decay = 0.1f, .correction1 = 0.3f, .correction2 = 0.2f}, adam.slices);
    Guarded<float> scale(1);
    kernels().clip_scale(on, 1, adam.slices, scale.data());
    if (run == 0) {
      first_scale = scale.values();
      first_sgd = sgd.all();
      first_adam = adam.all();
    }
    EXPECT_EQ(scale.values(), first_scale) << "run " << run;
    EXPECT_EQ(sgd.all(), first_sgd) << "run " << run;
    EXPECT_EQ(adam.all(), first_adam) << "run " << run;
  }
}

}  // namespace
}  // namespace convoy
