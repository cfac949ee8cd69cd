#include "apps/parallel_steps.h"

#include <cmath>

#include "apps/nonfinite.h"
#include "apps/number_text.h"
#include "parallel/agreement.h"

namespace convoy {
namespace {

// What the shards of this process have counted, and which of them has lost its numbers.
class Counts {
 public:
  explicit Counts(const Layout& layout)
      : totals_(static_cast<size_t>(layout.local_shards())), suspects_(totals_.size()) {}

  // On the thread of the shard. `loss` [1] is its share of the batch's.
  void add(const Shard& shard, const Variable& logits, const Variable& loss) {
    Totals& total = totals_[shard.index];
    const float value = loss.value().item();
    total.loss += static_cast<double>(value);
    total.samples += shard.labels.count();
    total.correct += count_correct(logits.value(), shard.labels);
    Suspect& suspect = suspects_[shard.index];
    if (!std::isfinite(value) && suspect.net == nullptr) suspect = {&shard.net, shard.images, value};
  }

  void stop(bool requested) { totals_.front().stop = requested; }

  std::span<const Totals> totals() const { return totals_; }

  // Throws Error(numeric) when a shard of this process has had a loss that is not finite.
  void check_finite(const std::string& when, const std::string& cure) const {
    for (const Suspect& suspect : suspects_) {
      if (suspect.net == nullptr) continue;
      fail(ErrorKind::numeric, "{}: the loss is {}: {}{}", when, nonfinite_text(suspect.loss),
           first_nonfinite(*suspect.net, suspect.images), cure);
    }
  }

 private:
  struct Suspect {
    Module* net = nullptr;
    Tensor images;
    float loss = 0;
  };
  std::vector<Totals> totals_;
  std::vector<Suspect> suspects_;
};

// All ranks see the same sum; those with the shards to blame know more.
void check_finite(DataParallel& parallel, const Totals& total, const Counts& counts, const std::string& when,
                  const std::string& cure) {
  if (std::isfinite(total.loss)) return;
  agree(parallel.others(), [&] { counts.check_finite(when, cure); });
  throw AgreedError(ErrorKind::numeric, fmt::format("{}: the sum of finite losses is not finite{}", when, cure));
}

std::optional<Batch> next_batch(Loader& loader, Trace* trace) {
  const TraceSpan span(trace, Trace::kStep, "next batch");
  return loader.next();
}

}  // namespace

std::optional<ParallelStepReport> step_in_parallel(DataParallel& parallel, Optimizer& optimizer, Loader& loader,
                                                   const Settings& settings, StepReport report,
                                                   const std::function<bool()>& stop_requested) {
  Trace* const trace = parallel.trace();
  if (trace != nullptr) trace->begin_step(report.step);
  Counts counts(parallel.layout());
  const auto forward = [&](const Shard& shard, int64_t batch) {
    const TraceSpan span(trace, Trace::of_shard(shard.index), "forward");
    const Variable logits = shard.net(Variable(shard.images));
    const Variable loss = softmax_cross_entropy(logits, shard.labels, settings.label_smoothing, batch);
    counts.add(shard, logits, loss);
    return loss;
  };
  for (int64_t piece = 0; piece < settings.accumulate; ++piece) {
    const std::optional<Batch> batch = next_batch(loader, trace);
    if (!batch) return std::nullopt;
    if (piece == 0) parallel.begin_step();
    const auto work = [&](const Shard& shard) {
      const Variable loss = forward(shard, batch->place.size);
      const TraceSpan span(trace, Trace::of_shard(shard.index), "backward");
      loss.backward();
    };
    parallel.run(batch->images, batch->labels, batch->place, work, piece + 1 == settings.accumulate);
  }
  counts.stop(stop_requested());
  const Totals total = parallel.total(counts.totals());
  parallel.finish_gradients();
  check_finite(parallel, total, counts, fmt::format("step {} (epoch {})", report.step, report.epoch),
               "; " + cure_of_nonfinite(settings, report.step));
  parallel.update([&] { optimizer.step(report.lr); });
  report.loss = static_cast<float>(total.loss);
  report.samples = total.samples;
  report.correct = total.correct;
  report.times = parallel.times();
  if (trace != nullptr) trace->end_step();
  return ParallelStepReport{report, total.stop};
}

std::optional<Evaluation> evaluate_in_parallel(DataParallel& parallel, const Dataset& dataset, int64_t batch,
                                               int workers, const std::function<bool()>& stop_requested) {
  const Layout& layout = parallel.layout();
  parallel.begin_evaluation();
  Loader loader(dataset, {.batch = batch, .workers = workers, .rank = layout.rank, .ranks = layout.ranks});
  loader.start_epoch(0);
  Counts counts(layout);
  while (const std::optional<Batch> next = loader.next()) {
    Counts asked(layout);
    asked.stop(stop_requested());
    if (parallel.total(asked.totals()).stop) return std::nullopt;
    parallel.run(next->images, next->labels, next->place, [&](const Shard& shard) {
      const NoGrad no_grad;
      const Variable logits = shard.net(Variable(shard.images));
      counts.add(shard, logits, softmax_cross_entropy(logits, shard.labels, 0, 1));
    });
  }
  const Totals total = parallel.total(counts.totals());
  check_finite(parallel, total, counts, "evaluation", "");
  const double size = static_cast<double>(total.samples);
  return Evaluation{.loss = total.loss / size, .accuracy = 100.0 * static_cast<double>(total.correct) / size};
}

}  // namespace convoy
