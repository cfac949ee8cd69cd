// Folders of runs that were never trained, for the commands that look back on runs.
#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace convoy {

// A config.json like that of a training of lenet5 on 200 synthetic digits in batches of 100, but for `changes`.
inline void write_config(const std::filesystem::path& run, const nlohmann::json& changes = nlohmann::json::object()) {
  nlohmann::json config{{"version", "0"},
                        {"kernels", "avx2"},
                        {"began", "2026-11-24T09:30:00Z"},
                        {"model", "lenet5"},
                        {"dataset", "synthetic"},
                        {"epochs", 2},
                        {"batch", 100},
                        {"threads", 1},
                        {"ranks", 1},
                        {"replicas", 1},
                        {"shards", 1},
                        {"training_images", 200},
                        {"test_images", 300},
                        {"parameters", 61706}};
  config.update(changes);
  std::filesystem::create_directories(run);
  std::ofstream(run / "config.json") << config.dump(2);
}

inline std::string step_line(int step, double loss) {
  return fmt::format(R"({{"event":"step","step":{},"epoch":{},"loss":{},"lr":0.001}})", step, (step + 1) / 2, loss) +
         "\n";
}

inline std::string epoch_log_line(int epoch, double accuracy) {
  return fmt::format(
             R"({{"event":"epoch","epoch":{},"step":{},"lr":0.001,"train_loss":1.5,"train_accuracy":50,"test_loss":1.25,)"
             R"("test_accuracy":{},"seconds":0.5}})",
             epoch, 2 * epoch, accuracy) +
         "\n";
}

inline std::string summary_line(double accuracy) {
  return fmt::format(
             R"({{"event":"summary","test_accuracy":{},"test_loss":1.25,"seconds":1,"samples_per_second":400}})",
             accuracy) +
         "\n";
}

inline void write_log(const std::filesystem::path& run, const std::string& text) {
  std::ofstream(run / "metrics.jsonl", std::ios::binary) << text;
}

// A run that has come to its end.
inline void write_run(const std::filesystem::path& run, double accuracy,
                      const nlohmann::json& changes = nlohmann::json::object()) {
  write_config(run, changes);
  write_log(run, step_line(1, 2.3) + step_line(2, 2) + epoch_log_line(1, accuracy - 1) + step_line(3, 1) +
                     step_line(4, 0.5) + epoch_log_line(2, accuracy) + summary_line(accuracy));
}

}  // namespace convoy
