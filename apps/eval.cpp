// `convoy eval`: loss and accuracy of saved weights, what they take each class for, and their logits.
#include <fmt/format.h>

#include <algorithm>

#include "apps/commands.h"
#include "apps/confusion.h"
#include "apps/device_options.h"
#include "apps/evaluation.h"
#include "apps/help_text.h"
#include "apps/number_text.h"
#include "layers/models.h"
#include "layers/weights.h"
#include "tensor/npy.h"
#include "tensor/ops.h"

namespace convoy {

int run_eval(const GivenOptions& given) {
  CHECK(given.contains("--init"), "eval: name the weights with --init FILE");
  const Settings settings = resolve(given);
  set_current_stream(open_stream(settings));
  const DatasetSplits data = load_dataset({.name = settings.dataset,
                                           .data = settings.data,
                                           .seed = static_cast<uint64_t>(settings.seed),
                                           .holdout = settings.holdout});
  for (const std::string& warning : data.warnings) fmt::print(stderr, "convoy: warning: {}\n", warning);
  const Dataset test = data.test.to(current_stream().device);
  const Tensor& images = test.images;
  const std::unique_ptr<Module> net = make_model(settings.model, {images.size(1), images.size(2), images.size(3)},
                                                 static_cast<int64_t>(test.classes.size()));
  load_weights(*net, settings.init);
  const char* const evaluated = settings.evaluated();
  ConfusionMatrix confusion(test.classes);
  Tensor all_logits = Tensor::empty({test.size(), confusion.classes()}, DType::f32, Device{});
  int64_t done = 0;
  const auto on_batch = [&](const Tensor& logits, const Tensor& labels) {
    const Tensor on_cpu = convert(logits, DType::f32).to(Device{}), predicted = argmax(logits).to(Device{});
    for (int64_t i = 0; i < labels.count(); ++i) confusion.add(labels.data<int32_t>()[i], predicted.data<int32_t>()[i]);
    std::copy_n(on_cpu.data<float>(), on_cpu.count(), all_logits.data<float>() + done * confusion.classes());
    done += labels.count();
  };
  const Evaluation result = *evaluate(
      *net, test, settings.batch, settings.workers, [] { return false; }, on_batch);
  fmt::print("{} on {}, {} images: {} loss {:.4f}, {} accuracy {:.2f} %\n", one_line(settings.model), settings.dataset,
             grouped(test.size()), evaluated, result.loss, evaluated, result.accuracy);
  fmt::print("\n{}", confusion.table(help_columns()));
  if (!settings.logits.empty()) {
    write_npy(settings.logits, all_logits);
    fmt::print("\nlogits   {} ({} x {}, f32)\n", settings.logits.string(), test.size(), confusion.classes());
  }
  return 0;
}

}  // namespace convoy
