#include "apps/comparison_traffic.h"

namespace convoy {

StepTraffic step_traffic(const Configuration& configuration, int64_t parameters, int shards) {
  const int64_t bytes = 4 * parameters, ranks = configuration.ranks;
  return {.copy = (configuration.replicas - 1) * bytes,
          .reduce = (shards / ranks - 1) * bytes,
          .communicate = 2 * (ranks - 1) * bytes / ranks};
}

}  // namespace convoy
