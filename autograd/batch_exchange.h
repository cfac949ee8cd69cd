// How batch normalisation sees the whole batch when this thread has only a part of it (Zhang et al., "Context encoding",
// 2018, and others call it synchronised batch normalisation). Declared here, where it is needed; implemented where the
// parts are (parallel/shard_exchange.h).
#pragma once

#include "tensor/ops.h"

namespace convoy {

class BatchExchange {
 public:
  virtual ~BatchExchange() = default;

  // statistics: on entry those of this part's `rows` rows (all 0 for none); become new tensors, those of all parts of the
  // batch. Returns the rows of all parts. Blocks until every part has called; all get the same bits.
  virtual int64_t merge(int64_t rows, BatchStatistics& statistics) = 0;

  // dgamma [C], dbeta [C] become new tensors, the sums over all parts; the old ones are not written to. Blocks likewise.
  virtual void sum(Tensor& dgamma, Tensor& dbeta) = 0;

  // The one that this thread's functions use; null: this thread has the whole batch.
  static BatchExchange* current();
};

// While one lives, functions recorded on this thread, and their backward, use `exchange`. Null: none.
class BatchExchangeScope {
 public:
  explicit BatchExchangeScope(BatchExchange* exchange);
  ~BatchExchangeScope();
  BatchExchangeScope(const BatchExchangeScope&) = delete;
  BatchExchangeScope& operator=(const BatchExchangeScope&) = delete;

 private:
  BatchExchange* previous_;
};

}  // namespace convoy
