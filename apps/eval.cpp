// `convoy eval`: loss and accuracy of saved weights.
#include <fmt/format.h>

#include "apps/commands.h"
#include "apps/device_options.h"
#include "apps/evaluation.h"
#include "apps/number_text.h"
#include "layers/models.h"
#include "layers/weights.h"

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
  const Evaluation result = *evaluate(*net, test, settings.batch, settings.workers, [] { return false; });
  fmt::print("{} on {}, {} images: {} loss {:.4f}, {} accuracy {:.2f} %\n", one_line(settings.model), settings.dataset,
             grouped(test.size()), evaluated, result.loss, evaluated, result.accuracy);
  return 0;
}

}  // namespace convoy
