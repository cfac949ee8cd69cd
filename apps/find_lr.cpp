// `convoy find-lr`: which learning rates are worth training with (rate_test.h), as text, table and picture.
#include <fmt/format.h>

#include <cmath>

#include "apps/commands.h"
#include "apps/device_options.h"
#include "apps/interrupt.h"
#include "apps/letters.h"
#include "apps/number_text.h"
#include "apps/optimizers.h"
#include "apps/plots.h"
#include "apps/rate_test.h"
#include "apps/run_folder.h"
#include "apps/saved_model.h"
#include "apps/training_material.h"
#include "apps/training_steps.h"
#include "tensor/atomic_file.h"

namespace convoy {
namespace {

constexpr int64_t kSteps = 200, kFewestSteps = 50;

// Trains until the rates are through, the loss has grown too large or is no longer finite, or a signal has come.
RateTest run_test(Module& net, const Dataset& images, const Settings& settings, const InterruptGuard& interrupt) {
  RateTest test(settings.steps);
  const std::unique_ptr<Optimizer> optimizer = make_optimizer(net, settings);
  const auto stop = [&] { return interrupt.signal() != 0; };
  TrainingSteps steps(net, *optimizer, images, settings, stop, nullptr);
  const auto done = [&](const StepReport& report) { test.add(static_cast<double>(report.lr), report.loss); };
  net.set_training(true);
  try {
    int64_t step = 1;
    for (int64_t epoch = 1; step <= settings.steps && !test.diverged() && !stop(); ++epoch) {
      steps.start_epoch(epoch - 1, 0);
      while (step <= settings.steps && !test.diverged() && !stop() &&
             steps.run({.step = step, .epoch = epoch, .lr = static_cast<float>(test.rate(step))}, done))
        ++step;
      steps.finish(done);
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::numeric || test.points().empty())
      throw;  // else: the rate was too large, as it is to be
  }
  return test;
}

std::string csv(const RateTest& test) {
  std::string text = "step,learning_rate,loss,smoothed_loss\n";
  for (size_t i = 0; i < test.points().size(); ++i) {
    const RatePoint& point = test.points()[i];
    text += fmt::format("{},{:.6g},{},{}\n", i + 1, point.rate, point.loss, test.smoothed(i));
  }
  return text;
}

std::string script(const RateTest& test, const std::string& title) {
  std::string data;
  const double first = test.smoothed(0);
  double least = first;
  for (size_t i = 0; i < test.points().size(); ++i) {
    const RatePoint& point = test.points()[i];
    data += fmt::format("{} {} {}\n", point.rate, point.loss, test.smoothed(i));
    least = std::min(least, point.loss);
  }
  std::string marks;
  if (const std::optional<double> rate = test.steepest())
    marks = fmt::format(
        "set arrow from {0}, graph 0 to {0}, graph 1 nohead linewidth 1.5 dashtype 2 linecolor rgb \"#009e73\"\n"
        "set label \"--lr {0:.2g}\" at {0}, graph 0.97 right offset -0.7,0 textcolor rgb \"#007a5a\"\n",
        *rate);
  // What lies far above where the test began says nothing more.
  return fmt::format(
      "$curve << EOD\n{}EOD\n{}set rmargin 4\nset "
      "logscale x\n"
      "set format x \"%.0e\"\nset xlabel \"learning rate\"\nset ylabel \"training loss\"\nset yrange [{}:{}]\n{}"
      "set key bottom left reverse Left samplen 1.5\n"
      "plot $curve using 1:2 with points pointtype 7 pointsize 0.5 linecolor rgb \"#b0b0b0\" title \"of a batch\", \\\n"
      "  $curve using 1:3 with lines linewidth 2.5 linecolor rgb \"#0072b2\" title \"smoothed\"\n",
      data, title_script(title), 0.9 * least, std::max(1.6 * first, 1.1 * least), marks);
}

// A rate as one would type it.
std::string typed(double rate) { return fmt::format("{:.1e}", rate); }

void print_suggestion(const RateTest& test) {
  const RatePoint& last = test.points().back();
  fmt::print("tried    {} rates, {} to {}{}\n", test.points().size(), typed(test.points().front().rate),
             typed(last.rate), last.rate < 0.99 * RateTest::kMost ? ", where the loss grew too large" : "");
  if (const std::optional<double> rate = test.steepest()) {
    fmt::print("steepest {}: there the loss falls fastest; it is least at {}\n", typed(*rate), typed(test.best_rate()));
    fmt::print("try      --lr {}\n", typed(*rate));
  } else {
    fmt::print("no rate made the loss fall clearly; more --steps or a larger --batch may show more\n");
  }
}

}  // namespace

int run_find_lr(const GivenOptions& given) {
  Settings settings = resolve(with_settings_of_init(given));
  if (settings.steps == 0) settings.steps = kSteps;
  CHECK(settings.steps >= kFewestSteps, "--steps: {} are too few to see a curve, the least is {}", settings.steps,
        kFewestSteps);
  if (!settings.run.empty()) check_run_folder(settings.run);
  set_current_stream(open_stream(settings));
  const Material material = prepare(settings, nullptr, true);
  const std::string what = fmt::format("{} on {}, {}, batch {}", shortened(one_line(settings.model), 50),
                                       dataset_label(settings.dataset), settings.optimizer, settings.batch);
  fmt::print("training {}, seed {}\nmachine  {}\n", what, settings.seed, machine_text(settings));
  std::fflush(stdout);
  std::optional<RateTest> test;
  int signal = 0;
  {
    const InterruptGuard interrupt("ending the test after this step");
    test.emplace(run_test(*material.net, material.data.train, settings, interrupt));
    signal = interrupt.signal();
  }
  const int exit_code = signal == 0 ? 0 : 128 + signal;
  if (signal != 0 && static_cast<int64_t>(test->points().size()) < kFewestSteps) return exit_code;
  print_suggestion(*test);

  const std::filesystem::path folder = settings.run.empty() ? create_fresh_folder("find-lr") : settings.run;
  create_folder(folder);
  write_file_atomically(folder / "find-lr.csv", csv(*test));
  fmt::print("curve    {}\n", (folder / "find-lr.csv").string());
  std::fflush(stdout);
  const std::string no_picture =
      draw({{.name = "find-lr", .caption = {}, .script = script(*test, what)}}, folder, SignalFile(), Scripts::stay);
  fmt::print("{} {}\n", no_picture.empty() ? "picture " : "no picture:",
             no_picture.empty() ? (folder / "find-lr.png").string() : no_picture);
  return exit_code;
}

}  // namespace convoy
