// How long do oneDNN's convolutions take? Reads the lines of `bench_products --what conv2d` and prints the same lines with
// oneDNN's times, and in "setting" the layout and the algorithm.
//
//   bench_products --threads 1 | bench_peer_onednn --threads 1                 # NHWC as ours, direct
//   bench_products --threads 1 | bench_peer_onednn --threads 1 --layout best   # the fastest of all layouts and algorithms
//
// Filters lie in the layout that oneDNN likes best, in every case, and so do images with `best`: what it costs to bring
// them there is not counted. A layout or algorithm that it does not have for a shape is left out.
#include <omp.h>

#include <dnnl.hpp>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/command_line.h"
#include "bench/median_time.h"

namespace convoy {
namespace {

using dnnl::algorithm;
using dnnl::memory;
using Tag = memory::format_tag;

struct Problem {
  memory::dims x, w, y, stride, pad;  // in the order N C H W, whatever the layout
};

Problem problem_of(const nlohmann::json& row) {
  const auto at = [&](const char* key) { return row.at(key).get<int64_t>(); };
  const int64_t p = (at("h") + 2 * at("pad") - at("r")) / at("stride") + 1,
                q = (at("w") + 2 * at("pad") - at("r")) / at("stride") + 1;
  return {{at("n"), at("c"), at("h"), at("w")},
          {at("k"), at("c"), at("r"), at("r")},
          {at("n"), at("k"), p, q},
          {at("stride"), at("stride")},
          {at("pad"), at("pad")}};
}

// Noise, in the layout of `to`: convolutions of zeros would be faster on some machines.
void fill(const memory& to) {
  auto* values = static_cast<float*>(to.get_data_handle());
  uint32_t state = 1;
  for (size_t i = 0; i < to.get_desc().get_size() / sizeof(float); ++i) {
    state = state * 1664525 + 1013904223;
    values[i] = static_cast<float>(state >> 8) * 0x1p-23f - 1;
  }
}

// Seconds of one call. Throws dnnl::error when there is no such primitive.
template <class Primitive, class Descriptor>
double time_of(const dnnl::engine& engine, const Descriptor& d, const memory::desc& in0, int arg0,
               const memory::desc& in1, int arg1, const memory::desc& out, int arg_out, double seconds) {
  dnnl::stream stream(engine);
  const Primitive primitive(d);
  const memory a(in0, engine), b(in1, engine), c(out, engine);
  fill(a);
  fill(b);
  return median_time(
      [&] {
        primitive.execute(stream, {{arg0, a}, {arg1, b}, {arg_out, c}});
        stream.wait();
      },
      seconds);
}

double time_direction(const std::string& direction, const Problem& p, algorithm kind, Tag layout, double seconds) {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  const auto of = [](const memory::dims& dims, Tag tag) { return memory::desc(dims, memory::data_type::f32, tag); };
  const memory::desc x = of(p.x, layout), w = of(p.w, Tag::any), y = of(p.y, layout);
  const dnnl::convolution_forward::primitive_desc forward(
      {dnnl::prop_kind::forward_training, kind, x, w, y, p.stride, p.pad, p.pad}, engine);
  if (direction == "forward")
    return time_of<dnnl::convolution_forward>(engine, forward, forward.src_desc(), DNNL_ARG_SRC, forward.weights_desc(),
                                              DNNL_ARG_WEIGHTS, forward.dst_desc(), DNNL_ARG_DST, seconds);
  if (direction == "backward_input") {
    const dnnl::convolution_backward_data::primitive_desc d({kind, x, w, y, p.stride, p.pad, p.pad}, engine, forward);
    return time_of<dnnl::convolution_backward_data>(engine, d, d.diff_dst_desc(), DNNL_ARG_DIFF_DST, d.weights_desc(),
                                                    DNNL_ARG_WEIGHTS, d.diff_src_desc(), DNNL_ARG_DIFF_SRC, seconds);
  }
  const dnnl::convolution_backward_weights::primitive_desc d({kind, x, w, y, p.stride, p.pad, p.pad}, engine, forward);
  return time_of<dnnl::convolution_backward_weights>(engine, d, d.src_desc(), DNNL_ARG_SRC, d.diff_dst_desc(),
                                                     DNNL_ARG_DIFF_DST, d.diff_weights_desc(), DNNL_ARG_DIFF_WEIGHTS,
                                                     seconds);
}

struct Setting {
  const char* name;
  Tag layout;
  algorithm kind;
};
constexpr Setting kSame[] = {{"NHWC, direct", Tag::nhwc, algorithm::convolution_direct}};
constexpr Setting kAll[] = {{"NHWC, direct", Tag::nhwc, algorithm::convolution_direct},
                            {"own layout, direct", Tag::any, algorithm::convolution_direct},
                            {"own layout, Winograd", Tag::any, algorithm::convolution_winograd},
                            {"own layout, auto", Tag::any, algorithm::convolution_auto},
                            {"NCHW, auto", Tag::nchw, algorithm::convolution_auto}};

nlohmann::json fastest(nlohmann::json row, std::span<const Setting> settings, double seconds) {
  const double work = row.at("gflops").get<double>() * row.at("us").get<double>();
  row["us"] = nullptr;
  for (const Setting& setting : settings) {
    try {
      const double us =
          1e6 * time_direction(row.at("direction"), problem_of(row), setting.kind, setting.layout, seconds);
      if (!row["us"].is_null() && row["us"] <= us) continue;
      row["us"] = us;
      row["setting"] = setting.name;
    } catch (const dnnl::error&) {  // it has no such primitive
    }
  }
  if (!row["us"].is_null()) row["gflops"] = work / row["us"].get<double>();
  const dnnl_version_t* version = dnnl_version();
  row["version"] = "oneDNN " + std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
                   std::to_string(version->patch);
  return row;
}

void run(std::span<const Setting> settings, double seconds) {
  for (std::string line; std::getline(std::cin, line);)
    std::cout << fastest(nlohmann::json::parse(line), settings, seconds).dump() << std::endl;
}

}  // namespace
}  // namespace convoy

int main(int argc, char** argv) {
  int threads = 1;
  double seconds = 0.2;
  std::string layout = "same";
  CLI::App app("Times oneDNN's convolutions on the shapes of bench_products, read from standard input.");
  app.add_option("--threads", threads, "OpenMP threads")->capture_default_str()->check(convoy::kThreads);
  app.add_option("--seconds", seconds, "to measure each line and setting")
      ->capture_default_str()
      ->check(convoy::kSeconds);
  app.add_option("--layout", layout, "same (NHWC, direct), or best: the fastest of all layouts and algorithms")
      ->capture_default_str()
      ->check(CLI::IsMember({"same", "best"}));
  return convoy::run_program(app, argc, argv, [&] {
    omp_set_num_threads(threads);
    layout == "best" ? convoy::run(convoy::kAll, seconds) : convoy::run(convoy::kSame, seconds);
  });
}
