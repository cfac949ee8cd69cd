#include "tensor/kernel_observer.h"

#include <type_traits>

#include "tensor/cpu/winograd_wanted.h"
#include "tensor/error.h"

namespace convoy {
namespace {

const Kernels* observed = nullptr;  // the table in use before; null: nobody observes
KernelObserver::Callback observer;

// A literal as a template argument.
template <size_t length>
struct Name {
  char text[length];
  constexpr Name(const char (&literal)[length]) {
    for (size_t i = 0; i < length; ++i) text[i] = literal[i];
  }
};

// By the first argument, which says what a row does.
template <class First, class... Others>
const char* variant_of(const Stream& stream, const First& first, const Others&...) {
  if constexpr (std::is_same_v<First, Unary> || std::is_same_v<First, Binary>) return name_of(first);
  if constexpr (std::is_same_v<First, Conv2dShape>) return winograd_wanted(stream, first) ? "winograd" : "gemm";
  return nullptr;
}

template <auto row, Name name, auto cost>
struct Observed;

// A row that calls the observed table's and tells of it.
template <class... Parameters, void (*Kernels::*row)(const Stream&, Parameters...), Name name, auto cost>
struct Observed<row, name, cost> {
  static void run(const Stream& stream, Parameters... arguments) {
    const KernelCall::Clock::time_point begin = KernelCall::Clock::now();
    (observed->*row)(stream, arguments...);
    const KernelCall::Clock::time_point end = KernelCall::Clock::now();
    observer({name.text, variant_of(stream, arguments...), cost(arguments...), begin, end});
  }
};

#define ROW(name) .name = Observed<&Kernels::name, #name, cost_of::name>::run
Kernels observed_rows(const char* name) {
  return {.name = name,
          ROW(gemm),
          ROW(conv2d_forward),
          ROW(conv2d_backward_input),
          ROW(conv2d_backward_weight),
          ROW(max_pool_forward),
          ROW(max_pool_backward),
          ROW(average_pool_forward),
          ROW(average_pool_backward),
          ROW(batch_norm_statistics),
          ROW(batch_norm_normalize),
          ROW(batch_norm_backward_reduce),
          ROW(batch_norm_backward_input),
          ROW(batch_norm_update_running),
          ROW(batch_norm_max_pool),
          ROW(batch_norm_max_pool_backward_input),
          ROW(unary_forward),
          ROW(unary_backward),
          ROW(binary_forward),
          ROW(binary_backward),
          ROW(scale),
          ROW(dropout),
          ROW(fill),
          ROW(convert),
          ROW(bias_forward),
          ROW(column_sum),
          ROW(bias_relu_backward),
          ROW(sum),
          ROW(argmax),
          ROW(count_nonfinite),
          ROW(softmax_cross_entropy_forward),
          ROW(softmax_cross_entropy_backward),
          ROW(sgd_step),
          ROW(adam_step),
          ROW(gemm_adam_step),
          ROW(clip_scale),
          ROW(average_step),
          ROW(image_batch)};
}
#undef ROW

}  // namespace

KernelObserver::KernelObserver(Callback callback) {
  if (observed != nullptr) fail(ErrorKind::internal, "kernel observer: there is one already");
  static Kernels table;
  observed = &kernels(Device{});
  observer = std::move(callback);
  table = observed_rows(observed->name);
  set_cpu_kernels(table);
}

KernelObserver::~KernelObserver() {
  set_cpu_kernels(*observed);
  observed = nullptr;
  observer = nullptr;
}

}  // namespace convoy
