#include "apps/comparison_plots.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "apps/comparison_shares.h"
#include "apps/comparison_table.h"

namespace convoy {
namespace {

// Okabe and Ito's colours, which people with colour blindness tell apart, too.
const char* color_of(const std::string& strategy) {
  static const std::map<std::string, const char*> colors{{"serial", "#4d4d4d"},
                                                         {"openmp", "#0072b2"},
                                                         {"replicated", "#e69f00"},
                                                         {"ddp", "#009e73"},
                                                         {"hybrid", "#cc79a7"}};
  return colors.at(strategy);
}

struct Measured {
  const Configuration* configuration;
  const ConfigurationSummary* summary;
};

// Those with something to draw, in the order of the table.
std::vector<Measured> measured(const Comparison& comparison, const ModelSummary& summary) {
  std::vector<Measured> found;
  for (const ConfigurationSummary& one : summary.configurations) {
    if (one.measured() && one.failed == 0) found.push_back({&comparison.plan.configurations[one.configuration], &one});
  }
  return found;
}

std::string label_of(const Measured& one) { return one.configuration->strategy + ", " + one.configuration->devices(); }

// Bars from the top down, one for each row, with room for its name at the left.
std::string bar_axes(size_t rows) {
  return fmt::format(
      "set yrange [{}.6:0.4] noextend\nset ytics nomirror scale 0\nset border 1\nset grid noytics xtics\nset lmargin "
      "24\n",
      rows);
}

std::string time_script(const std::vector<Measured>& rows) {
  std::string data;
  double most = 0, room = 1.35;  // for the labels at the right
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto& [configuration, summary] = rows[i];
    if (summary->oversubscribed) room = 1.8;
    data +=
        fmt::format("{} {} {} {} {:d} \"{}\" \"{:.2f} s{}\"\n", i + 1, summary->seconds.median, summary->seconds.least,
                    summary->seconds.most, std::stoi(color_of(configuration->strategy) + 1, nullptr, 16),
                    label_of(rows[i]), summary->seconds.median, summary->oversubscribed ? " (oversubscribed)" : "");
    most = std::max(most, summary->seconds.most);
  }
  return fmt::format("$data << EOD\n{}EOD\n{}", data, bar_axes(rows.size())) +
         fmt::format(
             "set xlabel \"training time in seconds: median; line: least to most\"\nset xrange [0:{}]\nunset key\n"
             "plot $data using (0):1:(0):2:($1-0.35):($1+0.35):5:ytic(6) with boxxyerror fillcolor rgb variable "
             "fillstyle solid 0.85 noborder, \\\n"
             "  $data using 2:1:3:4 with xerrorbars linecolor rgb \"black\" pointtype 7 pointsize 0.3, \\\n"
             "  $data using 4:1:7 with labels left offset 1,0\n",
             most * room);
}

// Points over the number of workers, a line for each strategy. `value` makes of a speed-up and a number of workers what
// is drawn, `ideal` is a formula in x.
template <class Value>
std::string scaling_script(const Comparison& comparison, const std::vector<Measured>& rows, const char* ylabel,
                           const std::string& ideal, Value&& value) {
  std::vector<std::string> strategies;
  int most_workers = 1, first_beyond = 0;
  double top = value(comparison.cores, comparison.cores);
  for (const auto& [configuration, summary] : rows) {
    if (!summary->speedup) continue;
    const int workers = configuration->workers();
    most_workers = std::max(most_workers, workers);
    if (workers > comparison.cores && (first_beyond == 0 || workers < first_beyond)) first_beyond = workers;
    top = std::max(top, value(summary->speedup->most, workers));
    if (std::ranges::find(strategies, configuration->strategy) == strategies.end())
      strategies.push_back(configuration->strategy);
  }
  std::string text, curves;
  std::set<std::string> tics;
  // Side by side rather than on top of each other.
  const double aside = 0.03 * std::max(1, most_workers - 1);
  std::string serial;  // the first of all points: one of OpenMP's line, too, but only serial has a mark there
  for (size_t s = 0; s < strategies.size(); ++s) {
    std::string data;
    for (const auto& [configuration, summary] : rows) {
      if (configuration->strategy != strategies[s] || !summary->speedup) continue;
      const int workers = configuration->workers();
      double x = workers + aside * (static_cast<double>(s) - static_cast<double>(strategies.size() - 1) / 2);
      Spread speedup = *summary->speedup;
      if (strategies[s] == "serial") {  // 1 by definition: it stands where it belongs, and has no spread
        x = workers;
        speedup.least = speedup.most = speedup.median;
      }
      data += fmt::format("{} {} {} {}\n", x, value(speedup.median, workers), value(speedup.least, workers),
                          value(speedup.most, workers));
      tics.insert(fmt::format("{}", workers));
    }
    if (strategies[s] == "serial") serial = data;
    const bool from_serial = strategies[s] == "openmp" && !serial.empty();
    text += fmt::format("${} << EOD\n{}{}EOD\n", strategies[s], from_serial ? serial : "", data);
    curves += fmt::format(
        ", \\\n  ${0} using 1:2 with lines linewidth 2 linecolor rgb \"{1}\" notitle, \\\n"
        "  ${0} every ::{3} using 1:2:3:4 with yerrorbars linewidth 1.5 pointtype {2} pointsize 1 linecolor rgb "
        "\"{1}\" title \"{0}\"",
        strategies[s], color_of(strategies[s]), 2 * s + 5, from_serial ? 1 : 0);
  }
  if (first_beyond > 0) {
    const double edge = (comparison.cores + first_beyond) / 2.0;
    text += fmt::format(
        "set object 1 rectangle from {0}, graph 0 to graph 1, graph 1 behind fillcolor rgb \"#eeeeee\" fillstyle solid "
        "noborder\n"
        "set label 1 \"oversubscribed:\\nmore workers\\nthan {1} core{2}\" at {0}, graph 0.97 offset 0.5,-0.3 left "
        "textcolor rgb \"#666666\"\n",
        edge, comparison.cores, comparison.cores == 1 ? "" : "s");
  }
  return text + fmt::format(
                    "set xlabel \"workers (threads, replicas or ranks, one core each)\"\nset ylabel \"{}\"\n"
                    "set xrange [0.7:{}]\nset yrange [0:{}]\nset xtics ({})\nset key outside right top vertical Left "
                    "reverse samplen 2\n"
                    "plot {} with lines dashtype 2 linewidth 1.5 linecolor rgb \"#888888\" title \"ideal\"{}\n",
                    ylabel, most_workers + 0.3 + aside, top * 1.3, fmt::join(tics, ", "), ideal, curves);
}

// All curves lie on each other as long as nothing is wrong, so each shows marks of its own along the way.
std::string loss_script(const Comparison& comparison, const ModelSummary& summary) {
  std::string data, lines, marks;
  double least = std::numeric_limits<double>::infinity(), most = 0;
  constexpr size_t kPoints = 60;
  const size_t all = comparison.plan.configurations.size();
  for (const RunResult& result : comparison.results) {
    if (result.run.model != summary.model || result.run.round != 1 || !result.good()) continue;
    const size_t index = result.run.configuration;
    const Configuration& configuration = comparison.plan.configurations[index];
    std::vector<CurvePoint> points;
    for (const LossPoint& point : result.losses) points.emplace_back(static_cast<double>(point.step), point.loss);
    points = thinned(points, kPoints);
    data += data_block(fmt::format("run{}", index), points);
    for (const auto& [step, loss] : points) {
      least = std::min(least, loss);
      most = std::max(most, loss);
    }
    lines += fmt::format("{} $run{} with lines linewidth 1.5 linecolor rgb \"{}\" notitle",
                         lines.empty() ? "plot" : ", \\\n ", index, color_of(configuration.strategy));
    marks += fmt::format(
        ", \\\n  $run{} every {}::{} with points pointtype {} pointsize 1.1 linecolor rgb \"{}\" title \"{}, {}\"",
        index, all, index, 4 + index % 10, color_of(configuration.strategy), configuration.strategy,
        configuration.devices());
  }
  return data +
         "set xlabel \"optimizer step\"\nset ylabel \"training loss (round 1; means of batches)\"\n"
         "set key outside right top vertical Left reverse samplen 1\n" +
         y_scale_script(least, most) + lines + marks + "\n";
}

std::string shares_script(const std::vector<Measured>& rows) {
  std::string data, parts, unsplit;
  std::vector<double> begin(rows.size());
  const std::span<const TimePart> table = time_part_table();
  for (size_t p = 0; p < table.size(); ++p) {
    const TimePart& part = table[p];
    std::string block;
    for (size_t i = 0; i < rows.size(); ++i) {
      const std::optional<std::vector<double>> shares = time_shares(*rows[i].summary);
      if (!shares) continue;
      block += fmt::format("{} {} {}\n", i + 1, begin[i], begin[i] + (*shares)[p]);
      begin[i] += (*shares)[p];
    }
    if (block.empty()) continue;
    const std::string name = fmt::format("part{}", p);
    data += fmt::format("${} << EOD\n{}EOD\n", name, block);
    parts += fmt::format(
        ", \\\n  ${} using 2:1:2:3:($1-0.35):($1+0.35) with boxxyerror fillcolor rgb \"{}\" fillstyle solid 0.85 "
        "noborder title \"{}\"",
        name, part.color, part.name);
  }
  std::string names;
  for (size_t i = 0; i < rows.size(); ++i) {
    names += fmt::format("{} \"{}\"\n", i + 1, label_of(rows[i]));
    if (!rows[i].summary->times) unsplit += fmt::format("{}\n", i + 1);
  }
  if (!unsplit.empty()) {
    data += fmt::format("$unsplit << EOD\n{}EOD\n", unsplit);
    parts +=
        ", \\\n  $unsplit using (0):1:(0):(100):($1-0.35):($1+0.35) with boxxyerror fillcolor rgb \"#dddddd\" "
        "fillstyle solid noborder"
        " notitle, \\\n  $unsplit using (50):1:(\"one step on one set of weights: not timed in parts\") with labels "
        "textcolor rgb \"#444444\" notitle";
  }
  return data + fmt::format("$names << EOD\n{}EOD\n", names) + bar_axes(rows.size()) +
         "set xlabel \"share of the training time of rank 0, in percent\"\nset xrange [0:100]\n"
         "set key at screen 0.5, screen 0.91 center top horizontal Left reverse samplen 1\nset tmargin 7\n"
         "plot $names using (-1):1:ytic(2) with points pointtype 0 notitle" +
         parts + "\n";
}

}  // namespace

std::vector<Plot> comparison_plots(const Comparison& comparison) {
  std::vector<Plot> plots;
  for (const ModelSummary& summary : comparison.summaries) {
    const std::vector<Measured> rows = measured(comparison, summary);
    if (rows.empty()) continue;
    const std::string& label = comparison.plan.models[summary.model].label;
    const std::string title = title_script(heading(comparison, summary));
    const auto add = [&](const char* name, const std::string& caption, const std::string& script) {
      plots.push_back({fmt::format("{}-{}", name, label), caption, summary.model, title + script});
    };
    add("time", "Training time", time_script(rows));
    const bool scales = std::ranges::any_of(rows, [](const Measured& one) { return one.summary->speedup.has_value(); });
    if (scales) {
      const bool openmp =
          std::ranges::any_of(rows, [](const Measured& one) { return one.configuration->strategy == "openmp"; });
      const std::string begin = openmp ? "; with 1 worker openmp is serial, and its line begins there" : "";
      add("speedup", "Speed-up against serial with one thread" + begin,
          scaling_script(comparison, rows, "speed-up: median; line: least to most", "x",
                         [](double speedup, int) { return speedup; }));
      add("efficiency", "Efficiency: speed-up / workers" + begin,
          scaling_script(comparison, rows, "efficiency in percent: median; line: least to most", "100",
                         [](double speedup, int workers) { return 100 * speedup / workers; }));
    }
    add("loss", "Training loss by strategy; equal curves lie on each other, marks are staggered",
        loss_script(comparison, summary));
    add("shares", "Where the time goes", shares_script(rows));
  }
  return plots;
}

}  // namespace convoy
