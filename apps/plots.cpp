#include "apps/plots.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "apps/gnuplot.h"
#include "tensor/atomic_file.h"
#include "tensor/whole_file.h"

namespace convoy {

std::string draw(const std::vector<Plot>& plots, const std::filesystem::path& folder, const SignalFile& signals,
                 Scripts scripts) {
  for (const Plot& plot : plots) {  // all, so that they are there whatever becomes of drawing
    const std::string script =
        "# gnuplot " + plot.name +
        ".gp\nset border 3\nset tics nomirror\nset grid ytics linetype 1 linewidth 0.6 linecolor rgb \"#d0d0d0\"\n" +
        "set terminal svg noenhanced size 860,500 font \"DejaVu Sans,14\" background rgb \"white\"\nset output \"" +
        plot.name + ".svg\"\n" + plot.script +
        "set terminal pngcairo noenhanced size 1720,1000 font \"DejaVu Sans,14\" fontscale 2 linewidth 2 pointscale "
        "2\nset output \"" +
        plot.name + ".png\"\nreplot\n";
    write_file_atomically(folder / (plot.name + ".gp"), script);
  }
  for (const Plot& plot : plots) {
    const std::string fault = run_gnuplot(folder, plot.name + ".gp", signals);
    if (scripts == Scripts::stay && fault.starts_with("gnuplot is not installed"))
      return fault + "; with it, draw the pictures from the .gp files in " + folder.string();
    if (!fault.empty()) return fault;
  }
  return "";
}

std::vector<Picture> read_pictures(const std::vector<Plot>& plots, const std::filesystem::path& folder) {
  std::vector<Picture> pictures;
  for (const Plot& plot : plots) pictures.push_back({plot, read_file_if_there(folder / (plot.name + ".svg"))});
  return pictures;
}

std::string title_script(const std::string& title) {
  return fmt::format("set label 99 {} at screen 0.5, screen 0.96 center font \",12\"\nset tmargin 3\n",
                     in_quotes(title));
}

std::string y_scale_script(double least, double most) {
  constexpr double kDecade = 10, kRoom = 1.15;
  if (!(least > 0 && most > kDecade * least)) return "set yrange [0:*]\n";
  least /= kRoom;
  most *= kRoom;
  std::vector<std::string> tics;  // 0.1, 0.2, 0.5, 1, …
  for (double decade = std::pow(10, std::floor(std::log10(least))); decade <= most; decade *= 10) {
    for (const int times : {1, 2, 5}) {
      if (times * decade >= least && times * decade <= most) tics.push_back(fmt::format("{:g}", times * decade));
    }
  }
  return fmt::format("set logscale y\nset yrange [{}:{}]\nset ytics ({})\n", least, most, fmt::join(tics, ", "));
}

std::vector<CurvePoint> thinned(const std::vector<CurvePoint>& points, size_t most) {
  const size_t each = (points.size() + most - 1) / most;
  std::vector<CurvePoint> means;
  for (size_t begin = 0; begin < points.size(); begin += each) {
    const size_t end = std::min(points.size(), begin + each);
    double x = 0, y = 0;
    for (size_t i = begin; i < end; ++i) {
      x += points[i].first;
      y += points[i].second;
    }
    const double n = static_cast<double>(end - begin);
    means.emplace_back(x / n, y / n);
  }
  return means;
}

std::string data_block(const std::string& name, const std::vector<CurvePoint>& points) {
  std::string text = fmt::format("${} << EOD\n", name);
  for (const auto& [x, y] : points) text += fmt::format("{} {}\n", x, y);
  return text + "EOD\n";
}

}  // namespace convoy
