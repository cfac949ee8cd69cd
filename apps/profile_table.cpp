#include "apps/profile_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <string_view>

#include "tensor/counted.h"

namespace convoy {
namespace {

using Pass = Work::Pass;

constexpr std::array kPasses = {Pass::data, Pass::forward, Pass::backward, Pass::update};

const char* name_of(Pass pass) {
  constexpr std::array kNames = {"data", "forward", "backward", "update"};
  return kNames[static_cast<size_t>(pass)];
}

// "152.1 GFLOP/s" of products, the bytes of others.
std::string rate(const KernelCost& cost, double seconds) {
  if (seconds <= 0) return "";
  if (cost.flops > 0) return fmt::format("{:.1f} GFLOP/s", cost.flops / seconds / 1e9);
  return fmt::format("{:.1f} GB/s   ", cost.bytes / seconds / 1e9);
}

// "of 9.94 ms, 9.80 to 10.31".
std::string duration_of(const std::vector<ProfileRecord::Step>& steps) {
  std::vector<double> milliseconds;
  for (const ProfileRecord::Step& step : steps) milliseconds.push_back((step.end - step.begin) * 1e3);
  std::ranges::sort(milliseconds);
  const double mean =
      std::accumulate(milliseconds.begin(), milliseconds.end(), 0.0) / static_cast<double>(milliseconds.size());
  if (milliseconds.size() == 1) return fmt::format("of {:.2f} ms", mean);
  return fmt::format("of {:.2f} ms on average, {:.2f} to {:.2f}", mean, milliseconds.front(), milliseconds.back());
}

// What makes the limits doubtful; a line for each.
std::string warnings(const ProfileRecord& record) {
  constexpr double kNoise = 0.1;
  std::string text;
  if (record.limits.difference > kNoise)
    text += fmt::format(
        "warning  the limits before and after the training differ by {:.0f} %, "
        "as if other programs were running; the higher ones are used\n",
        100 * record.limits.difference);
  if (record.threads > record.cores)
    text += fmt::format("warning  {} on {}: limits and kernels are slower than the CPU is\n",
                        counted(record.threads, "thread"), counted(record.cores, "core"));
  return text;
}

// Lays out lines; `steps` and `step_seconds`, of all steps together, turn sums into what one step takes.
class Lines {
 public:
  Lines(const ProfileRecord& record, const std::vector<ProfileRow>& rows, double step_seconds)
      : record_(record), steps_(static_cast<double>(record.steps.size())), step_seconds_(step_seconds) {
    for (const ProfileRow& row : rows) {
      layer_width_ = std::max(layer_width_, row.layer.size());
      kernel_width_ = std::max(kernel_width_, row.kernel.size());
    }
  }

  void heading(Pass pass) {
    text_ += fmt::format("\n{:<{}}  {:<{}}  calls    µs/step    share           rate  of limit\n", name_of(pass),
                         layer_width_ + 2, "kernel", kernel_width_);
  }

  void row(const ProfileRow& row) { line(row.layer, row, rate(row.cost, row.seconds)); }
  // Of several kernels, which have no rate in common.
  void sum(const std::string& name, const ProfileRow& all) { line(name, all, ""); }

  // Of what is no kernel.
  void time(const std::string& what, double seconds) { line(what, "", "", seconds, ""); }

  void add(const std::string& text) { text_ += text; }
  double share(const ProfileRow& row) const { return row.seconds / step_seconds_; }
  double microseconds(double seconds) const { return seconds / steps_ * 1e6; }
  const std::string& text() const { return text_; }

 private:
  void line(const std::string& name, const ProfileRow& row, const std::string& rate) {
    const std::string calls = row.calls == 0 ? "" : fmt::format("{:.4g}", static_cast<double>(row.calls) / steps_);
    const std::string limit = row.seconds > 0 ? fmt::format("{:.0f} %", 100 * row.floor / row.seconds) : "";
    line(name, row.kernel, calls, row.seconds, fmt::format("  {:>13}  {:>8}", rate, limit));
  }

  void line(const std::string& name, const std::string& kernel, const std::string& calls, double seconds,
            const std::string& rest) {
    const std::string line =
        fmt::format("  {:<{}}  {:<{}}  {:>5}  {:>9.1f}  {:>5.1f} %{}", name, layer_width_, kernel, kernel_width_, calls,
                    microseconds(seconds), 100 * seconds / step_seconds_, rest);
    text_ += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }

  const ProfileRecord& record_;
  const double steps_, step_seconds_;
  size_t layer_width_ = sizeof("until the batch was there") - 1, kernel_width_ = sizeof("kernel") - 1;
  std::string text_;
};

void add(const ProfileRow& row, ProfileRow& sum) {
  sum.calls += row.calls;
  sum.seconds += row.seconds;
  sum.cost += row.cost;
  sum.floor += row.floor;
}

// The rows of a pass and their sum, which is returned.
ProfileRow add_pass(const std::vector<ProfileRow>& rows, Pass pass, double least_share, Lines& lines) {
  ProfileRow all, small;
  int64_t small_ones = 0;
  bool empty = true;
  for (const ProfileRow& row : rows) {
    if (row.pass != pass) continue;
    if (empty) lines.heading(pass);
    empty = false;
    add(row, all);
    if (lines.share(row) >= least_share) {
      lines.row(row);
    } else {
      ++small_ones;
      add(row, small);
    }
  }
  if (small_ones > 0) lines.sum(counted(small_ones, "smaller row"), small);
  if (!empty) lines.sum(fmt::format("all of {}", name_of(pass)), all);
  return all;
}

// From the beginning of each step to its first kernel that is not about data, without the kernels that are.
double seconds_until_batch(const ProfileRecord& record) {
  std::vector<bool> arrived(record.steps.size());
  double seconds = 0;
  for (const ProfiledCall& call : record.calls) {
    const size_t step = static_cast<size_t>(call.step);
    if (call.thread != 0 || arrived[step]) continue;
    if (call.pass == Pass::data) {
      seconds -= call.seconds();
    } else {
      seconds += call.begin - record.steps[step].begin;
      arrived[step] = true;
    }
  }
  return seconds;
}

// What kernels do beside what their names say, where the rows show that they did; a line each.
std::string contents_of_fused(const std::vector<ProfileRow>& rows) {
  const auto has = [&](Pass pass, std::string_view kernel, const std::string* layer = nullptr) {
    return std::ranges::any_of(rows, [&](const ProfileRow& row) {
      return row.pass == pass && row.kernel == kernel && (layer == nullptr || row.layer == *layer);
    });
  };
  const bool pools = has(Pass::forward, "batch_norm_max_pool");
  const bool statistics_are_elsewhere = std::ranges::any_of(rows, [&](const ProfileRow& row) {
    return row.pass == Pass::forward && (row.kernel == "batch_norm_normalize" || row.kernel == "batch_norm_max_pool") &&
           !has(Pass::forward, "batch_norm_statistics", &row.layer);
  });
  std::string text;
  if (statistics_are_elsewhere) text += "conv2d_forward contains the statistics of a batch norm right behind it.\n";
  if (pools)
    text +=
        "batch_norm_max_pool and its backward contain the ReLU and the max pooling behind the batch norm;\n"
        "batch_norm_backward_reduce sums over the maxima alone then.\n";
  if (has(Pass::backward, "gemm"))
    text += "gemm of a backward contains that of a ReLU right before the layer, where there is one.\n";
  if (has(Pass::backward, "gemm_adam_step")) text += "gemm_adam_step contains the update of the layer's weight.\n";
  return text;
}

}  // namespace

std::vector<ProfileRow> rows_of(const ProfileRecord& record) {
  std::vector<ProfileRow> rows;
  for (const Pass pass : kPasses) {
    const size_t first = rows.size();
    for (const ProfiledCall& call : record.calls) {
      if (call.thread != 0 || call.pass != pass) continue;
      const auto same = [&](const ProfileRow& row) { return row.layer == call.layer && row.kernel == call.kernel; };
      auto row = std::find_if(rows.begin() + static_cast<std::ptrdiff_t>(first), rows.end(), same);
      if (row == rows.end())
        row = rows.insert(row, {.layer = call.layer, .pass = pass, .kernel = call.kernel, .cost = {}});
      add({.layer = {},
           .kernel = {},
           .calls = 1,
           .seconds = call.seconds(),
           .cost = call.cost,
           .floor = record.limits.seconds(call.cost)},
          *row);
    }
  }
  return rows;
}

std::string table_of(const ProfileRecord& record, double least_share) {
  const std::vector<ProfileRow> rows = rows_of(record);
  double step_seconds = 0, beside = 0;
  for (const ProfileRecord::Step& step : record.steps) step_seconds += step.end - step.begin;
  for (const ProfiledCall& call : record.calls) beside += call.thread == 0 ? 0 : call.seconds();

  Lines lines(record, rows, step_seconds);
  const CpuLimits& limits = record.limits;
  lines.add(fmt::format("profile  {} {}; {} kernels, {}\n", counted(static_cast<int64_t>(record.steps.size()), "step"),
                        duration_of(record.steps), record.kernels, counted(record.threads, "thread")));
  lines.add(
      fmt::format("limits   {:.1f} GFLOP/s of fp32 multiply-adds; memory: {:.1f} GB/s read, {:.1f} copied, {:.1f} "
                  "changed in place\n",
                  limits.flops / 1e9, limits.memory.read / 1e9, limits.memory.copy / 1e9, limits.memory.update / 1e9));
  lines.add(warnings(record));
  ProfileRow kernels;
  for (const Pass pass : kPasses) add(add_pass(rows, pass, least_share, lines), kernels);
  const double waiting = seconds_until_batch(record);
  lines.add("\n");
  lines.sum("all kernels", kernels);
  lines.time("until the batch was there", waiting);
  lines.time("else outside kernels", step_seconds - kernels.seconds - waiting);
  lines.time("step", step_seconds);
  lines.add(
      "\n"
      "GFLOP/s: two operations for each multiply-add of the definition. GB/s: every input read and every output\n"
      "written once. The limit is that of arithmetic or of memory, whichever takes longer for these; of a sum, the\n"
      "sum of these times. More than 100 % is possible: caches serve bytes faster than memory does, convolutions\n"
      "leave the padding out, and Winograd's multiply less often than defined.\n");
  lines.add(contents_of_fused(rows));
  if (beside > 0)
    lines.add(fmt::format("Beside the steps, other threads prepared batches: {:.1f} µs in kernels for each step.\n",
                          lines.microseconds(beside)));
  lines.add("Outside kernels are: taking memory, the tape of autograd, copies, the log.\n");
  return lines.text();
}

}  // namespace convoy
