#include "apps/profile_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "tensor/counted.h"

namespace convoy {
namespace {

using Pass = Work::Pass;

constexpr std::array kPasses = {Pass::data, Pass::forward, Pass::backward, Pass::update};

const char* name_of(Pass pass) {
  constexpr std::array kNames = {"data", "forward", "backward", "update"};
  return kNames[static_cast<size_t>(pass)];
}

// "152.1 GFLOP/s" by what limits it more.
std::string rate(const KernelCost& cost, double seconds, const CpuLimits& limits) {
  if (seconds <= 0) return "";
  if (limits.bound_by_flops(cost)) return fmt::format("{:.1f} GFLOP/s", cost.flops / seconds / 1e9);
  return fmt::format("{:.1f} GB/s   ", cost.bytes / seconds / 1e9);
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

  void row(const std::string& layer, const ProfileRow& row) {
    const std::string calls = row.calls == 0 ? "" : fmt::format("{:.4g}", static_cast<double>(row.calls) / steps_);
    const std::string limit = row.seconds > 0 ? fmt::format("{:.0f} %", 100 * row.floor / row.seconds) : "";
    line(layer, row.kernel, calls, row.seconds,
         fmt::format("  {:>13}  {:>8}", rate(row.cost, row.seconds, record_.limits), limit));
  }

  // Of what is no kernel.
  void time(const std::string& what, double seconds) { line(what, "", "", seconds, ""); }

  void add(const std::string& text) { text_ += text; }
  double share(const ProfileRow& row) const { return row.seconds / step_seconds_; }
  double microseconds(double seconds) const { return seconds / steps_ * 1e6; }
  const std::string& text() const { return text_; }

 private:
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
      lines.row(row.layer, row);
    } else {
      ++small_ones;
      add(row, small);
    }
  }
  if (small_ones > 0) lines.row(counted(small_ones, "smaller row"), small);
  if (!empty) lines.row(fmt::format("all of {}", name_of(pass)), all);
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
  lines.add(fmt::format("profile  {}, {:.2f} ms each; {} kernels, {}\n",
                        counted(static_cast<int64_t>(record.steps.size()), "step"),
                        lines.microseconds(step_seconds) / 1e3, record.kernels, counted(record.threads, "thread")));
  lines.add(fmt::format("limits   {:.1f} GFLOP/s of fp32 multiply-adds; memory {:.1f} GB/s read, {:.1f} GB/s copied\n",
                        limits.flops / 1e9, limits.memory.read / 1e9, limits.memory.copy / 1e9));
  ProfileRow kernels;
  for (const Pass pass : kPasses) add(add_pass(rows, pass, least_share, lines), kernels);
  const double waiting = seconds_until_batch(record);
  lines.add("\n");
  lines.row("all kernels", kernels);
  lines.time("until the batch was there", waiting);
  lines.time("else outside kernels", step_seconds - kernels.seconds - waiting);
  lines.time("step", step_seconds);
  lines.add(
      "\nGFLOP/s: two operations for each multiply-add of the definition. GB/s: every input read and every output "
      "written\n"
      "once. The limit is that of arithmetic or of memory, whichever takes longer for these. More than 100 % is "
      "possible:\n"
      "caches serve bytes faster than memory does, and Winograd's convolutions multiply less often than defined.\n");
  if (beside > 0)
    lines.add(fmt::format("Beside the steps, other threads prepared batches: {:.1f} µs in kernels for each step.\n",
                          lines.microseconds(beside)));
  lines.add("Outside kernels are: taking memory, the tape of autograd, copies, the log.\n");
  return lines.text();
}

}  // namespace convoy
