#include "apps/run_plots.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "apps/gnuplot.h"
#include "apps/letters.h"
#include "apps/number_text.h"
#include "apps/run_folder.h"
#include "tensor/counted.h"
#include "tensor/error.h"

namespace convoy {
namespace {

// Okabe and Ito's colours, which people with colour blindness tell apart, too.
constexpr std::array kColors = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#4d4d4d"};
constexpr size_t kPoints = 200;  // of a curve

// What is drawn with several runs: a curve of each, told apart by its colour, and beyond these by its marks.
struct Style {
  std::string color;
  size_t mark;
};
Style style_of(size_t run) {
  return {kColors[run % kColors.size()], std::array<size_t, 7>{7, 5, 9, 13, 11, 4, 6}[run / kColors.size() % 7]};
}

// Where a step stands in the course of a training: epoch 1.5 is the middle of the second.
double epochs_at(const RunRecord& run, int64_t step) {
  return static_cast<double>(step) / static_cast<double>(std::max<int64_t>(1, run.steps_per_epoch()));
}

template <class Value>
std::vector<CurvePoint> of_steps(const RunRecord& run, Value&& value) {
  std::vector<CurvePoint> points;
  for (const LoggedStep& step : run.steps) points.emplace_back(epochs_at(run, step.step), value(step));
  return points;
}

template <class Value>
std::vector<CurvePoint> of_epochs(const RunRecord& run, Value&& value) {
  std::vector<CurvePoint> points;
  for (const LoggedEpoch& epoch : run.epochs) points.emplace_back(epochs_at(run, epoch.step), value(epoch));
  return points;
}

// A picture being made: data, and what `plot` is to do with them.
class Canvas {
 public:
  // Nothing happens without points. `how`: "with lines …" to gnuplot.
  void add(const std::vector<CurvePoint>& points, const std::string& how) {
    if (points.empty()) return;
    const std::string name = fmt::format("curve{}", curves_++);
    data_ += data_block(name, points);
    plot_ += fmt::format("{} ${} {}", plot_.empty() ? "plot" : ", \\\n ", name, how);
    for (const auto& [x, y] : points) {
      least_ = std::min(least_, y);
      most_ = std::max(most_, y);
    }
  }
  bool empty() const { return curves_ == 0; }
  std::string scale() const { return y_scale_script(least_, most_); }
  std::string script(const std::string& title, const std::string& ylabel, const std::string& scale) const {
    return title_script(title) + data_ +
           fmt::format(
               "set xlabel \"epoch\" offset 0,0.5\nset ylabel \"{}\"\nset xrange [0:*]\n"
               "set key below left vertical Left reverse samplen 2 maxcols 2 font \",11\"\n{}{}\n",
               ylabel, scale, plot_);
  }

 private:
  std::string data_, plot_;
  size_t curves_ = 0;
  double least_ = std::numeric_limits<double>::infinity(), most_ = -least_;
};

std::string title_in_key(const std::string& title) { return title.empty() ? "notitle" : "title " + in_quotes(title); }

// A colour halfway to white: "#0072b2".
std::string lighter(const std::string& color) {
  std::string light = "#";
  for (const size_t at : {1, 3, 5})
    light += fmt::format("{:02x}", (std::stoi(color.substr(at, 2), nullptr, 16) + 255) / 2);
  return light;
}

std::string thin_line(const Style& style, const std::string& title) {
  return fmt::format("with lines linewidth 1 linecolor rgb \"{}\" {}", lighter(style.color), title_in_key(title));
}

std::string marked_line(const Style& style, const std::string& title) {
  return fmt::format("with linespoints linewidth 2 pointtype {} pointsize 0.7 linecolor rgb \"{}\" {}", style.mark,
                     style.color, title_in_key(title));
}

std::string dashed_line(const Style& style, const std::string& title) {
  return fmt::format("with linespoints dashtype 2 linewidth 1.5 pointtype 7 pointsize 0.3 linecolor rgb \"{}\" {}",
                     style.color, title_in_key(title));
}

// Its end tells more of a long path than its beginning.
std::string legend_name(const std::string& name) { return shortened_from_the_left(name, 50); }

struct Subject {
  std::string title;  // "lenet5 on mnist", "3 runs"
  bool single;
};

Subject subject_of(const std::vector<RunRecord>& runs, const std::vector<std::string>& names) {
  if (runs.size() > 1) return {.title = counted(static_cast<int64_t>(runs.size()), "run"), .single = false};
  const Settings& settings = runs.front().config.settings;
  return {.title = fmt::format("{} on {} ({})", shortened(one_line(settings.model), 50),
                               dataset_label(settings.dataset), names.front()),
          .single = true};
}

}  // namespace

std::vector<Plot> run_plots(const std::vector<RunRecord>& runs, const std::vector<std::string>& names) {
  Canvas loss, accuracy, lr;
  const auto [title, single] = subject_of(runs, names);
  for (size_t i = 0; i < runs.size(); ++i) {
    const RunRecord& run = runs[i];
    const Style style = style_of(i), training = single ? style_of(1) : style;
    const std::string name = single ? run.evaluated() : legend_name(names[i]);
    loss.add(thinned(of_steps(run, [](const LoggedStep& step) { return step.loss; }), kPoints),
             thin_line(training, single ? "training, batches" : ""));
    loss.add(of_epochs(run, [](const LoggedEpoch& epoch) { return epoch.train_loss; }),
             dashed_line(training, single ? "training, means of epochs" : ""));
    loss.add(of_epochs(run, [](const LoggedEpoch& epoch) { return epoch.evaluation.loss; }), marked_line(style, name));
    accuracy.add(of_epochs(run, [](const LoggedEpoch& epoch) { return epoch.train_accuracy; }),
                 dashed_line(training, single ? "training, means of epochs" : ""));
    accuracy.add(of_epochs(run, [](const LoggedEpoch& epoch) { return epoch.evaluation.accuracy; }),
                 marked_line(style, name));
    lr.add(of_steps(run, [](const LoggedStep& step) { return step.lr; }),
           fmt::format("with lines linewidth 2 linecolor rgb \"{}\" {}", style.color,
                       title_in_key(single ? "" : legend_name(names[i]))));
  }
  std::vector<Plot> plots;
  const auto add = [&](const Canvas& canvas, const char* name, const std::string& what, const std::string& ylabel,
                       const std::string& scale) {
    if (canvas.empty()) return;
    plots.push_back(
        {.name = name, .caption = what, .subject = 0, .script = canvas.script(what + ": " + title, ylabel, scale)});
  };
  const std::string evaluated = single ? "" : " (points: evaluated; dashed: training, means of epochs";
  add(loss, "loss", "Loss" + evaluated + (single ? "" : "; thin: batches)"), "mean cross-entropy (nats)", loss.scale());
  add(accuracy, "accuracy", "Accuracy" + evaluated + (single ? "" : ")"), "accuracy (%)", "set yrange [*:*<100]\n");
  add(lr, "lr", "Learning rate", "learning rate", "set yrange [0:*]\n");
  return plots;
}

std::string draw_run(const std::filesystem::path& run) {
  try {
    const RunRecord record = read_run_record(run);
    const std::vector<Plot> plots = run_plots({record}, {record.name()});
    if (plots.empty()) return "nothing is logged yet";
    create_folder(run / kPlotsFolder);
    const SignalFile signals;
    return draw(plots, run / kPlotsFolder, signals, Scripts::stay);
  } catch (const std::exception& error) {
    return error.what();
  }
}

}  // namespace convoy
