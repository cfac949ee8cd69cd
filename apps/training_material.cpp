#include "apps/training_material.h"

#include <fmt/format.h>

#include "apps/checkpoint_folder.h"
#include "apps/data_request.h"
#include "apps/profile.h"
#include "apps/resume.h"
#include "apps/saved_model.h"
#include "apps/trainer.h"
#include "parallel/trace.h"

namespace convoy {
namespace {

// Refuses what could not work or would fail in mid-training. Changes buffers of `net`.
void check_steps(Module& net, const DatasetSplits& data, const Settings& settings) {
  const int64_t size = data.train.size();
  const StepCount steps = count_steps(settings, size);
  CHECK(settings.warmup_steps < steps.total, "--warmup-steps: {} are not less than the {} steps of this training",
        settings.warmup_steps, steps.total);
  CHECK(settings.trace.empty() || steps.total >= Trace::kFirstStep,
        "--trace: records steps {} to {}, this training has {}", Trace::kFirstStep, Trace::kLastStep, steps.total);
  CHECK(!settings.profile || steps.total >= Profile::kFirstStep,
        "--profile: records steps {} to {}, this training has {}", Profile::kFirstStep, Profile::kLastStep,
        steps.total);
  const bool single = settings.batch == 1 || (size % settings.batch == 1 && steps.total >= steps.per_epoch);
  if (!single) return;
  const ImageExtent extent = extent_of(data.train);
  const NoGrad no_grad;
  net.set_training(true);
  try {
    net(Variable(Tensor::zeros({1, extent.h, extent.w, extent.c})));
  } catch (const Error& error) {
    fail(error.kind(), "step {}: its batch has one image: {}; choose another --batch, or a --limit that leaves more",
         settings.batch == 1 ? 1 : steps.per_epoch, error.what());
  }
}

}  // namespace

ImageExtent extent_of(const Dataset& dataset) {
  return {dataset.images.size(1), dataset.images.size(2), dataset.images.size(3)};
}

std::unique_ptr<Module> make_net(const Settings& settings, const Dataset& dataset) {
  return make_model(settings.model, extent_of(dataset), static_cast<int64_t>(dataset.classes.size()));
}

Material prepare(const Settings& settings, const RunConfig* resumed, bool tell_warnings) {
  const auto warn = [&](const std::string& warning) {
    if (tell_warnings) fmt::print(stderr, "convoy: warning: {}\n", warning);
  };
  Material material{.data = load_data(settings, tell_warnings), .net = nullptr, .from = {}};
  DatasetSplits& data = material.data;
  data.train = data.train.to(current_stream().device);
  data.test = data.test.to(current_stream().device);
  material.net = make_net(settings, data.train);
  check_steps(*material.net, data, settings);
  initialise(*material.net, static_cast<uint64_t>(settings.seed));
  if (resumed != nullptr) {
    material.from = CheckpointFolder(settings.run, settings.keep).read_newest(warn);
    check_fits(*material.from, *resumed);
    check_images(*resumed, data);
    material.from->load(*material.net);
  } else if (!settings.init.empty()) {
    find_saved_model(settings.init).load(*material.net);
  }
  return material;
}

}  // namespace convoy
