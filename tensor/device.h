// Where tensors live and where kernels run.
#pragma once

#include <cstdint>
#include <string>

#include "tensor/dtype.h"

namespace convoy {

struct Device {
  enum class Kind { cpu, cuda };
  Kind kind = Kind::cpu;
  int index = 0;  // ordinal among the devices of its kind

  std::string text() const { return kind == Kind::cpu ? "cpu" : "cuda:" + std::to_string(index); }
  bool operator==(const Device&) const = default;
};

// How products (gemm, conv2d_*) are computed on a GPU; the CPU knows fp32 only. Sums are fp32 in any case.
//   fp32   operands as they are
//   tf32   operands rounded to 10 bits of fraction, for tensor cores
//   bf16   activations and filters are bf16 in memory (7 bits of fraction); what is f32 all the same is taken as tf32.
//          Parameters, their gradients and statistics stay f32.
enum class Precision { fp32, tf32, bf16 };

// Which of a backend's convolution algorithms to use; `automatic` is the one measured to be best for the shape. One
// that cannot do a shape or a precision, or is another backend's, gives way to the automatic choice. docs/convolution.md
// describes those of the CPU, gemm and winograd, docs/cuda.md the others.
enum class ConvolutionAlgorithm { automatic, gemm, winograd, im2col, tiled, tensor_core, direct };

struct StepScalars {
  float lr = 0;                            // of SgdStep and AdamStep
  float correction1 = 1, correction2 = 1;  // of AdamStep
  uint32_t step = 0;                       // RandomKey::step of dropout
  uint32_t epoch = 0;                      // RandomKey::step of image_batch
};

// An execution queue on a device, handed to every kernel. On the CPU a kernel runs at once, on `threads` OpenMP
// threads; on a GPU it is enqueued on `handle` (a cudaStream_t) and runs later.
struct Stream {
  Device device = {};
  int threads = 1;
  void* handle = nullptr;
  Precision precision = Precision::fp32;
  ConvolutionAlgorithm convolution = ConvolutionAlgorithm::automatic;

  // While a training step is recorded, to be replayed later (CUDA graphs): where, in the device's memory, kernels find
  // what changes from step to step, instead of in their arguments; and a number that must be finite for an optimizer to
  // change anything. Null otherwise.
  const StepScalars* scalars = nullptr;
  const float* finite = nullptr;
};

// What the activations of a network are stored as on this stream.
constexpr DType activation_type(const Stream& stream) {
  const bool bf16 = stream.device.kind == Device::Kind::cuda && stream.precision == Precision::bf16;
  return bf16 ? DType::bf16 : DType::f32;
}

// The stream of the calling thread, used by every op. A new thread starts with a one-thread CPU stream; the main
// thread with as many threads as the process may use (OMP_NUM_THREADS, or the cores it is bound to).
const Stream& current_stream();
void set_current_stream(const Stream& stream);

// While one lives, `stream` is the calling thread's.
class StreamScope {
 public:
  explicit StreamScope(const Stream& stream) : before_(current_stream()) { set_current_stream(stream); }
  ~StreamScope() { set_current_stream(before_); }
  StreamScope(const StreamScope&) = delete;
  StreamScope& operator=(const StreamScope&) = delete;

 private:
  const Stream before_;
};

}  // namespace convoy
