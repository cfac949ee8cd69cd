#include "layers/initialise.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "layers/module.h"

namespace convoy {
namespace {

// FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/. Any fixed, well-mixed function of the name would do.
uint64_t hash_of(std::string_view name) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (const char letter : name) hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001B3u;
  return hash;
}

}  // namespace

void fill_kaiming_uniform(Tensor& values, const RandomKey& key, ParameterRole role, int64_t fan_in) {
  const float bound = 1.0f / std::sqrt(static_cast<float>(std::max<int64_t>(fan_in, 1)));
  const uint64_t first = static_cast<uint64_t>(role) << 40;
  Tensor host = Tensor::empty(values.shape(), DType::f32, Device{});
  float* out = host.data<float>();
  for (int64_t i = 0; i < host.count(); ++i)
    out[i] = (2.0f * random_uniform(key, first + static_cast<uint64_t>(i)) - 1.0f) * bound;
  values.copy_from(host);
}

void fill_constant(Tensor& values, float value) {
  Tensor host = Tensor::empty(values.shape(), DType::f32, Device{});
  std::fill_n(host.data<float>(), host.count(), value);
  values.copy_from(host);
}

void initialise(Module& module, uint64_t seed) {
  for (const Module::NamedModule& entry : module.modules()) {
    const uint64_t hash = hash_of(entry.name);
    entry.module->reset_parameters({.seed = seed,
                                    .stream = RandomStream::initialise,
                                    .step = static_cast<uint32_t>(hash >> 32),
                                    .member = static_cast<uint32_t>(hash & 0xFFFFFF)});
  }
}

}  // namespace convoy
