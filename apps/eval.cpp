// `convoy eval`: loss and accuracy of saved weights, what they take each class for, their logits, and pictures of what
// they get wrong.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "apps/commands.h"
#include "apps/confusion_picture.h"
#include "apps/data_request.h"
#include "apps/device_options.h"
#include "apps/evaluation.h"
#include "apps/help_text.h"
#include "apps/letters.h"
#include "apps/mistakes.h"
#include "apps/number_text.h"
#include "apps/saved_model.h"
#include "layers/models.h"
#include "tensor/npy.h"
#include "tensor/ops.h"

namespace convoy {
namespace {

constexpr int64_t kDefaultMistakes = 48;

// The test images, normalised as those were that the network was trained on.
Dataset images_for(const SavedModel& saved, const Settings& settings) {
  Dataset test = load_data(settings).test;
  if (!saved.config || !saved.config->facts.input) return test;
  const ModelInput& input = *saved.config->facts.input;
  if (input.classes != test.classes)
    fail(ErrorKind::data, "{}: was trained on the classes {}; {} has {}", saved.weights.string(),
         fmt::join(input.classes, ", "), settings.dataset, fmt::join(test.classes, ", "));
  test.normalisation = input.normalisation;
  return test;
}

void draw_pictures(const Settings& settings, const Dataset& test, const ConfusionMatrix& confusion,
                   const Tensor& logits, double accuracy) {
  const std::string what =
      fmt::format("{} on {}", shortened(one_line(settings.model), 50), dataset_label(settings.dataset));
  if (!settings.confusion.empty()) {
    draw_png(confusion_picture(confusion,
                               fmt::format("{}: accuracy {:.2f} % on {} images", what, accuracy, grouped(test.size()))),
             settings.confusion);
    fmt::print("matrix   {}\n", settings.confusion.string());
  }
  if (settings.mistakes.empty()) return;
  const std::vector<Mistake> mistakes =
      worst_mistakes(logits, test.labels, settings.count > 0 ? settings.count : kDefaultMistakes);
  if (mistakes.empty()) {
    fmt::print("mistakes none, and no {}\n", settings.mistakes.string());
    return;
  }
  draw_png(
      picture_of(test, mistakes,
                 fmt::format("{}: its worst {} mistakes, what it is → what it is taken for", what, mistakes.size())),
      settings.mistakes);
  fmt::print("mistakes {} (the worst {})\n", settings.mistakes.string(), mistakes.size());
}

}  // namespace

int run_eval(const GivenOptions& given) {
  CHECK(given.contains("--init"), "eval: name the weights with --init FILE, or the folder of a run with --init RUN");
  CHECK(!given.contains("--count") || given.contains("--mistakes"), "--count: has no effect without --mistakes");
  const SavedModel saved = find_saved_model(given.at("--init"));
  const Settings settings = resolve(with_settings_of(saved, given));
  set_current_stream(open_stream(settings));
  const Dataset test_on_cpu = images_for(saved, settings), test = test_on_cpu.to(current_stream().device);
  const Tensor& images = test.images;
  const std::unique_ptr<Module> net = make_model(settings.model, {images.size(1), images.size(2), images.size(3)},
                                                 static_cast<int64_t>(test.classes.size()));
  saved.load(*net);
  const char* const evaluated = settings.evaluated();
  ConfusionMatrix confusion(test.classes);
  Tensor all_logits = Tensor::empty({test.size(), confusion.classes()}, DType::f32, Device{});
  int64_t done = 0;
  const auto on_batch = [&](const Tensor& logits, const Tensor& labels) {
    const Tensor on_cpu = convert(logits, DType::f32).to(Device{}), predicted = argmax(logits).to(Device{});
    const Tensor actual = labels.to(Device{});
    for (int64_t i = 0; i < labels.count(); ++i) confusion.add(actual.data<int32_t>()[i], predicted.data<int32_t>()[i]);
    std::copy_n(on_cpu.data<float>(), on_cpu.count(), all_logits.data<float>() + done * confusion.classes());
    done += labels.count();
  };
  const Evaluation result = [&] {
    try {
      return *evaluate(
          *net, test, settings.batch, settings.workers, [] { return false; }, on_batch);
    } catch (const OutOfMemory& error) {
      throw OutOfMemory(fmt::format("{}; a smaller --batch than {} takes less", error.what(), settings.batch));
    }
  }();
  fmt::print("{} on {}, {} images: {} loss {:.4f}, {} accuracy {:.2f} %\n", one_line(settings.model), settings.dataset,
             grouped(test.size()), evaluated, result.loss, evaluated, result.accuracy);
  // Programs that read it get all of it.
  fmt::print("\n{}", confusion.table(isatty(STDOUT_FILENO) == 1 ? std::optional(help_columns()) : std::nullopt));
  if (!settings.logits.empty() || !settings.confusion.empty() || !settings.mistakes.empty()) fmt::print("\n");
  if (!settings.logits.empty()) {
    write_npy(settings.logits, all_logits);
    fmt::print("logits   {} ({} x {}, f32)\n", settings.logits.string(), test.size(), confusion.classes());
  }
  draw_pictures(settings, test_on_cpu, confusion, all_logits, result.accuracy);
  return 0;
}

}  // namespace convoy
