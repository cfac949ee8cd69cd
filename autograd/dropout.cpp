// Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, "Dropout", 2014.
#include "autograd/autograd.h"

namespace convoy {

Variable dropout(const Variable& x, float probability, const RandomKey& key, uint64_t offset) {
  // The mask is drawn a second time instead of kept: a draw is a pure function of the key and the element.
  return Variable::record("dropout", dropout(x.value(), probability, key, offset), {x},
                          [probability, key, offset, x_grad = x.gradient_only()](const Tensor& dy) {
                            x_grad.add_grad(dropout(dy, probability, key, offset));
                          });
}

}  // namespace convoy
