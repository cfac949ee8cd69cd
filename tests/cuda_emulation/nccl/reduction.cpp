#include "tests/cuda_emulation/nccl/reduction.h"

#include <algorithm>
#include <type_traits>

namespace convoy::emulation::nccl {
namespace {

// Where overflow is not allowed to happen, it happens in the unsigned type of the same size.
template <class T>
struct Arithmetic {
  using type = std::make_unsigned_t<T>;
};
template <>
struct Arithmetic<float> {
  using type = float;
};
template <>
struct Arithmetic<double> {
  using type = double;
};

template <class T>
T combine(ncclRedOp_t reduction, T a, T b) {
  using A = typename Arithmetic<T>::type;
  if (reduction == ncclProd) return static_cast<T>(static_cast<A>(a) * static_cast<A>(b));
  if (reduction == ncclMax) return std::max(a, b);
  if (reduction == ncclMin) return std::min(a, b);
  return static_cast<T>(static_cast<A>(a) + static_cast<A>(b));
}

template <class T>
Bytes reduce_as(ncclRedOp_t reduction, size_t count, std::span<const Bytes* const> of_ranks) {
  Bytes result(count * sizeof(T));
  T* const to = reinterpret_cast<T*>(result.data());
  const size_t ranks = of_ranks.size(), chunk = (count + ranks - 1) / ranks;
  for (size_t i = 0; i < ranks; ++i) {
    const size_t begin = std::min(i * chunk, count), end = std::min(begin + chunk, count);
    for (size_t step = 0; step < ranks; ++step) {
      const T* const from = reinterpret_cast<const T*>(of_ranks[(i + 1 + step) % ranks]->data());
      for (size_t j = begin; j < end; ++j) to[j] = step == 0 ? from[j] : combine(reduction, to[j], from[j]);
    }
  }
  if (reduction == ncclAvg) {
    for (size_t j = 0; j < count; ++j) to[j] = static_cast<T>(to[j] / static_cast<T>(ranks));
  }
  return result;
}

struct Row {
  const char* name;
  size_t bytes;
  Bytes (*reduce)(ncclRedOp_t, size_t, std::span<const Bytes* const>);
};

constexpr Row kTypes[ncclNumTypes] = {
    {"int8", 1, reduce_as<int8_t>},    {"uint8", 1, reduce_as<uint8_t>},
    {"int32", 4, reduce_as<int32_t>},  {"uint32", 4, reduce_as<uint32_t>},
    {"int64", 8, reduce_as<int64_t>},  {"uint64", 8, reduce_as<uint64_t>},
    {"float16", 2, nullptr},           {"float32", 4, reduce_as<float>},
    {"float64", 8, reduce_as<double>}, {"bfloat16", 2, nullptr},
    {"float8e4m3", 1, nullptr},        {"float8e5m2", 1, nullptr},
};

bool known(ncclDataType_t type) { return static_cast<unsigned>(type) < ncclNumTypes; }
bool known(ncclRedOp_t reduction) { return static_cast<unsigned>(reduction) < ncclNumOps; }

}  // namespace

size_t bytes_of(ncclDataType_t type) { return known(type) ? kTypes[type].bytes : 0; }

const char* name_of(ncclDataType_t type) { return known(type) ? kTypes[type].name : "no type"; }

const char* name_of(ncclRedOp_t reduction) {
  constexpr const char* kNames[] = {"sum", "prod", "max", "min", "avg"};
  return known(reduction) ? kNames[reduction] : "no reduction";
}

bool can_reduce(ncclDataType_t type, ncclRedOp_t reduction) {
  return known(type) && known(reduction) && kTypes[type].reduce != nullptr;
}

Bytes reduce(ncclDataType_t type, ncclRedOp_t reduction, size_t count, std::span<const Bytes* const> of_ranks) {
  return kTypes[type].reduce(reduction, count, of_ranks);
}

}  // namespace convoy::emulation::nccl
