// Elementwise formulas, one functor each, shared by every backend. A new function is one struct and one line in the
// list below it: the enum, name_of() and the kernels of all backends follow from the list. To be a layer it also
// needs the name it has there (layers/activation.cpp), a keyword (layers/description.cpp) and an operator
// (layers/onnx.cpp).
#pragma once

#include <cmath>

#include "tensor/host_device.h"

namespace convoy {

// y = value(x), dx = dy * derivative(x).
struct Relu {
  CONVOY_HOST_DEVICE static float value(float x) { return x > 0 ? x : (x != x ? x : 0.0f); }
  CONVOY_HOST_DEVICE static float derivative(float x) { return x > 0 ? 1.0f : 0.0f; }
};

// Exact GELU, x * Phi(x). Hendrycks, Gimpel 2016.
struct Gelu {
  CONVOY_HOST_DEVICE static float value(float x) { return 0.5f * x * (1.0f + erff(x * 0.70710678f)); }
  CONVOY_HOST_DEVICE static float derivative(float x) {
    const float phi = 0.39894228f * expf(-0.5f * x * x);
    return 0.5f * (1.0f + erff(x * 0.70710678f)) + x * phi;
  }
};

struct Sigmoid {
  CONVOY_HOST_DEVICE static float value(float x) { return 1.0f / (1.0f + expf(-x)); }
  CONVOY_HOST_DEVICE static float derivative(float x) {
    const float y = value(x);
    return y * (1.0f - y);
  }
};

struct Tanh {
  CONVOY_HOST_DEVICE static float value(float x) { return tanhf(x); }
  CONVOY_HOST_DEVICE static float derivative(float x) {
    const float y = tanhf(x);
    return 1.0f - y * y;
  }
};

#define CONVOY_UNARY_FUNCTIONS(ROW) \
  ROW(relu, Relu)                   \
  ROW(gelu, Gelu)                   \
  ROW(sigmoid, Sigmoid)             \
  ROW(tanh, Tanh)

enum class Unary {
#define ROW(name, functor) name,
  CONVOY_UNARY_FUNCTIONS(ROW)
#undef ROW
};

constexpr const char* name_of(Unary function) {
  switch (function) {
#define ROW(name, functor) \
  case Unary::name:        \
    return #name;
    CONVOY_UNARY_FUNCTIONS(ROW)
#undef ROW
  }
  return "?";
}

// y = value(a, b), da = dy * da(a, b), db = dy * db(a, b).
struct Add {
  CONVOY_HOST_DEVICE static float value(float a, float b) { return a + b; }
  CONVOY_HOST_DEVICE static float da(float, float) { return 1.0f; }
  CONVOY_HOST_DEVICE static float db(float, float) { return 1.0f; }
};

struct Multiply {
  CONVOY_HOST_DEVICE static float value(float a, float b) { return a * b; }
  CONVOY_HOST_DEVICE static float da(float, float b) { return b; }
  CONVOY_HOST_DEVICE static float db(float a, float) { return a; }
};

#define CONVOY_BINARY_FUNCTIONS(ROW) \
  ROW(add, Add)                      \
  ROW(multiply, Multiply)

enum class Binary {
#define ROW(name, functor) name,
  CONVOY_BINARY_FUNCTIONS(ROW)
#undef ROW
};

constexpr const char* name_of(Binary function) {
  switch (function) {
#define ROW(name, functor) \
  case Binary::name:       \
    return #name;
    CONVOY_BINARY_FUNCTIONS(ROW)
#undef ROW
  }
  return "?";
}

}  // namespace convoy
