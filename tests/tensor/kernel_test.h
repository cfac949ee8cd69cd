// What the kernel tests share: a fixture that runs every test on each backend (backends.h), a deterministic source of
// shapes and values, and comparisons.
//
// Tolerances. With u = 2^-24 (half a unit in the last place of 1), a sum of n terms in single precision, in
// any order and with or without fused multiply-add, is off by at most about n * u * sum |term| (Higham,
// "Accuracy and Stability of Numerical Algorithms", 4.2). The tests compute sum |term| with the double
// reference on absolute values, and add a few u for each operation outside the sum. Where arrays are bf16 the result is
// rounded once more, on its way to memory; GuardedArray's expect_within() allows for that.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <memory>
#include <random>
#include <type_traits>
#include <variant>
#include <vector>

#include "tensor/kernels.h"
#include "tests/reference.h"
#include "tests/tensor/backends.h"
#include "tests/tensor/guarded.h"

namespace convoy {

using reference::Values;
using reference::widen;

constexpr double kRoundoff = 0x1p-24;

// Lengths for kernels that take a flat array: everything around the widths of registers and of unrolled loops,
// primes, and one off the chunks that threads take. More than 200.
inline const std::vector<int64_t>& array_lengths() {
  static const std::vector<int64_t> lengths = [] {
    std::vector<int64_t> all;
    for (int64_t i = 0; i <= 195; ++i) all.push_back(i);
    all.insert(all.end(), {255, 257, 1009, 4099, 16383, 16384, 16385, 32769, 40'009});
    return all;
  }();
  return lengths;
}

// What is left of values in an array of the current backend's type. Inputs are made of it, so that the reference starts
// from what the kernel reads.
inline float stored(float value) {
  if (current_backend->arrays != DType::bf16) return value;
  return static_cast<float>(reference::bf16(static_cast<double>(value)));
}
inline std::vector<float> stored(std::vector<float> values) {
  for (float& value : values) value = stored(value);
  return values;
}

inline std::vector<Bf16> to_bf16(const std::vector<float>& values) {
  std::vector<Bf16> rounded;
  for (const float value : values) rounded.push_back(to_bf16(value));
  return rounded;
}

// A Guarded output of the current backend's type of arrays, given and read as floats.
class GuardedArray {
 public:
  explicit GuardedArray(int64_t count) : array_(of_type(count)) {}
  explicit GuardedArray(const std::vector<float>& contents) : array_(of_type(contents)) {}

  Array data() {
    return std::visit([](auto& array) { return Array(array.data()); }, array_);
  }
  std::vector<float> values() const {
    return std::visit(
        [](const auto& array) {
          std::vector<float> floats;
          for (const auto value : array.values()) floats.push_back(to_float(value));
          return floats;
        },
        array_);
  }
  bool intact() const {
    return std::visit([](const auto& array) { return array.intact(); }, array_);
  }

 private:
  using Either = std::variant<Guarded<float>, Guarded<Bf16>>;

  static Either of_type(int64_t count) {
    if (current_backend->arrays == DType::bf16) return Guarded<Bf16>(count);
    return Guarded<float>(count);
  }
  static Either of_type(const std::vector<float>& contents) {
    if (current_backend->arrays == DType::bf16) return Guarded<Bf16>(to_bf16(contents));
    return Guarded<float>(contents);
  }

  Either array_;
};

class EveryBackend : public testing::TestWithParam<Backend> {
 protected:
  void SetUp() override {
    if (!GetParam().unavailable.empty()) GTEST_SKIP() << GetParam().unavailable;
    current_backend = &GetParam();
    arrays_placed = 0;
    set_current_stream(stream);
  }
  void TearDown() override {
    uploaded_.clear();
    set_current_stream(before_);
    current_backend = nullptr;
  }

  const Kernels& kernels() const { return *GetParam().table; }
  int cases(int wanted) const { return std::min(wanted, GetParam().most_cases); }

  // The values as an input: on a GPU a copy that lives until the test ends, on the CPU they themselves.
  template <class T>
  const T* in(const std::vector<T>& values) {
    return stream.device.kind == Device::Kind::cpu ? values.data() : upload(values);
  }
  template <class T>
  const T* in(std::vector<T>&&) = delete;  // would be gone before the kernel runs

  // The same as an input of the backend's type of arrays. The values are stored() ones.
  ConstArray in_array(const std::vector<float>& values) {
    if (GetParam().arrays == DType::bf16) return upload(to_bf16(values));
    return in(values);
  }
  ConstArray in_array(std::vector<float>&&) = delete;

  // Calls run(stream, out) several times, on equal initial contents and as differently as the backend can; every result
  // must have the same bits. `out` is a float*, or an Array of the backend's type where run takes an Array. Inputs must
  // be uploaded before, because sums may depend on where an array begins.
  template <class Run>
  void expect_same_bits_on_every_run(int64_t count, Run&& run) {
    if constexpr (std::is_invocable_v<Run, const Stream&, Array>) {
      if (GetParam().arrays == DType::bf16) return expect_same_bits<Bf16>(count, run);
    }
    expect_same_bits<float>(count, run);
  }

  Stream stream = GetParam().stream;

 private:
  template <class T>
  const T* upload(const std::vector<T>& values) {
    const auto copy = std::make_shared<OnDevice<T>>(values, next_is_aligned() ? 0 : 1);
    uploaded_.push_back(copy);
    return copy->data();
  }

  template <class T, class Run>
  void expect_same_bits(int64_t count, Run&& run) {
    T start;
    assign(start, 0.25f);
    std::vector<T> first;
    for (int i = 0; i < GetParam().runs; ++i) {
      Stream on = stream;
      GetParam().vary(i, on);
      OnDevice<T> out(std::vector<T>(static_cast<size_t>(count), start));
      run(on, out.data());
      const std::vector<T> values = out.values();
      if (i == 0) first = values;
      ASSERT_EQ(std::memcmp(first.data(), values.data(), values.size() * sizeof(T)), 0) << "run " << i;
    }
  }

  Stream before_ = current_stream();
  std::vector<std::shared_ptr<void>> uploaded_;
};

#define INSTANTIATE_FOR_VARIANTS(suite, variants)                                            \
  INSTANTIATE_TEST_SUITE_P(backend, suite, testing::ValuesIn(backends_under_test(variants)), \
                           [](const testing::TestParamInfo<Backend>& info) { return info.param.name; })
#define INSTANTIATE_FOR_EVERY_BACKEND(suite) INSTANTIATE_FOR_VARIANTS(suite, Variants::none)

// Every kernel table of this CPU, for tests that make it the table of the process.
class EveryIsa : public testing::TestWithParam<const Kernels*> {};

#define INSTANTIATE_FOR_EVERY_ISA(suite)                                                                          \
  INSTANTIATE_TEST_SUITE_P(isa, suite, testing::ValuesIn(cpu_kernel_tables().begin(), cpu_kernel_tables().end()), \
                           [](const testing::TestParamInfo<const Kernels*>& info) { return info.param->name; })

// Pseudo-random shapes and values, the same on every machine (std::mt19937 is fixed by the standard; its
// distributions are not).
class Draw {
 public:
  explicit Draw(uint32_t seed) : engine_(seed) {}

  // Draws whole numbers from -2 to 2 as reals: their products and sums below 2^24 are exact in every precision, so a
  // term that is missing or counted twice shows, however many others there are.
  static Draw of_integers(uint32_t seed) {
    Draw draw(seed);
    draw.integers_ = true;
    return draw;
  }
  bool exact() const { return integers_; }

  int64_t between(int64_t low, int64_t high) { return low + engine_() % static_cast<uint32_t>(high - low + 1); }
  int64_t pick(std::initializer_list<int64_t> choices) {
    return choices.begin()[between(0, static_cast<int64_t>(choices.size()) - 1)];
  }
  bool coin() { return between(0, 1) == 1; }
  float real(float low = -1, float high = 1) {
    if (integers_) return static_cast<float>(between(-2, 2));
    return low + (high - low) * unit_float(engine_());
  }
  std::vector<float> reals(int64_t count, float low = -1, float high = 1) {
    std::vector<float> values(static_cast<size_t>(count));
    for (float& value : values) value = real(low, high);
    return values;
  }
  std::vector<int32_t> labels(int64_t count, int64_t classes) {
    std::vector<int32_t> values(static_cast<size_t>(count));
    for (int32_t& value : values) value = static_cast<int32_t>(between(0, classes - 1));
    return values;
  }

 private:
  std::mt19937 engine_;
  bool integers_ = false;
};

inline Values absolute(Values values) {
  for (double& value : values) value = std::fabs(value);
  return values;
}

// tolerance[i] = factor * u * magnitude[i]
inline Values roundoff(double factor, Values magnitude) {
  for (double& value : magnitude) value *= factor * kRoundoff;
  return magnitude;
}

// Fails, showing the first offender, unless |actual - expected| <= tolerance everywhere. NaN is close to NaN
// only.
inline void expect_within(const std::vector<float>& actual, const Values& expected, const Values& tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  ASSERT_EQ(actual.size(), tolerance.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    const double value = static_cast<double>(actual[i]);
    if (std::isnan(value) && std::isnan(expected[i])) continue;
    if (value == expected[i]) continue;
    ASSERT_LE(std::fabs(value - expected[i]), tolerance[i])
        << "element " << i << " of " << actual.size() << ": " << value << " instead of " << expected[i];
  }
}

inline void expect_equal(const std::vector<float>& actual, const Values& expected) {
  expect_within(actual, expected, Values(expected.size()));
}

// The same for an array of the backend's type. A bf16 is a result within `tolerance` of `expected`, rounded to nearest;
// as rounding never turns an order around, it lies between the bounds of that result, rounded. That is up to half a unit
// in the last place more, at most 2^-8 of the result (which has 8 significant bits), and nothing where a result is a bf16.
inline void expect_within(const GuardedArray& actual, Values expected, Values tolerance) {
  ASSERT_EQ(expected.size(), tolerance.size());
  if (current_backend->arrays == DType::bf16) {
    for (size_t i = 0; i < expected.size(); ++i) {
      const double low = reference::bf16(expected[i] - tolerance[i]),
                   high = reference::bf16(expected[i] + tolerance[i]);
      expected[i] = low == high ? low : (low + high) / 2;
      tolerance[i] = low == high ? 0 : (high - low) / 2;
    }
  }
  expect_within(actual.values(), expected, tolerance);
}

// Where arithmetic is exact: relu, copies, small integers. The expected values are stored() ones.
inline void expect_equal(const GuardedArray& actual, const Values& expected) {
  expect_equal(actual.values(), expected);
}

// The tolerance of a product on `stream`: `terms` additions whose absolute terms sum up to `magnitude`, of which
// `products`() are the products of two operands. Tensor cores
// - take bf16 arrays as they are, whose products are exact in fp32;
// - round f32 operands to the 11 significant bits of TF32, so each is off by at most 2^-11 of itself;
// - for fp32 split them in two TF32 numbers, off by 2^-22, and leave out the product of the smaller ones, at most 2^-22;
//   each product is then the sum of three;
// - cut off sums instead of rounding them: Fasi, Higham, Mikaitis, Pranesh, "Numerical behavior of NVIDIA tensor cores",
//   2021.
template <class Products>
Values product_roundoff(const Stream& stream, double terms, const Values& magnitude, Products&& products) {
  if (current_backend->arrays == DType::bf16) return roundoff(2 * terms, magnitude);
  const bool fp32 = stream.precision == Precision::fp32;
  if (fp32 && stream.convolution != ConvolutionAlgorithm::tensor_core) return roundoff(terms, magnitude);
  const double share = fp32 ? 3 * 0x1p-22 : 2 * 0x1p-11 + 0x1p-22;
  Values tolerance = roundoff((fp32 ? 6 : 2) * terms, magnitude);
  const Values rounded = products();
  for (size_t i = 0; i < tolerance.size(); ++i) tolerance[i] += share * rounded[i];
  return tolerance;
}

}  // namespace convoy
