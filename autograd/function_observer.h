// FunctionObserver: sees every differentiable function that a thread calls, with its inputs, its result and what else it was
// given. What a network computes can be written down with it, as layers/onnx.cpp does.
#pragma once

#include <functional>
#include <vector>

#include "tensor/ops.h"

namespace convoy {

class Variable;
struct BatchNormState;

// What a result depends on besides the inputs. Each function has some of these; the others keep their defaults.
struct FunctionArguments {
  Window size{}, stride{}, pad{0, 0};
  bool relu = false;                        // applied to the result
  const BatchNormState* running = nullptr;  // a batch norm's, unless it trains
};

struct FunctionCall {
  const char* function;                 // "conv2d", "relu": what Variable::record() was told
  const std::vector<Variable>& inputs;  // undefined where one was not given, as an absent bias
  const Variable& result;
  const FunctionArguments& arguments;
};

// While one lives, it is called on this thread after every function, also under NoGrad.
class FunctionObserver {
 public:
  using Callback = std::function<void(const FunctionCall&)>;
  explicit FunctionObserver(Callback callback);
  ~FunctionObserver();
  FunctionObserver(const FunctionObserver&) = delete;
  FunctionObserver& operator=(const FunctionObserver&) = delete;

  static bool watching();  // whether this thread has one

  // Tells the observers of this thread, innermost first; Variable::record() does it.
  static void notify(const FunctionCall& call);

 private:
  Callback callback_;
  FunctionObserver* previous_;
};

}  // namespace convoy
