// What other programs read of a run, beside its metrics.jsonl: a table of its epochs (metrics.csv), one of the steps
// that were logged (steps.csv), and TensorBoard's event file. All three are made from the lines of metrics.jsonl alone,
// so that they can be made again when a run is resumed.
//
//   metrics.csv   epoch,step,lr,train_loss,train_accuracy_percent,evaluated_on,loss,accuracy_percent,training_seconds,…
//   steps.csv     step,epoch,loss,lr
//   events.…      over the optimizer steps: loss/train, lr; after each epoch loss/train_epoch, loss/test,
//                 accuracy/train_epoch, accuracy/test (percent); with --holdout validation instead of test
//
// Columns are always the same; a cell is empty where there is nothing to tell.
#pragma once

#include <filesystem>
#include <string>

#include "apps/appended_file.h"

namespace convoy {

class LogCopies {
 public:
  LogCopies() = default;

  // Creates the files, which hold no line yet. Throws Error(io), here and below.
  static LogCopies create(const std::filesystem::path& run);

  // Makes them what they are for the lines of `log`, a whole metrics.jsonl, keeping what they already hold of it, and
  // the times at which TensorBoard's events happened.
  static LogCopies restore(const std::filesystem::path& run, const std::string& log);

  // Adds what a line of metrics.jsonl tells. It has just been written.
  void add(const std::string& line);

  // Removes the files of a run that leaves nothing behind.
  static void remove(const std::filesystem::path& run);
  static bool is_file_name(const std::string& name);  // of one of them

 private:
  AppendedFile epochs_, steps_, events_;
};

}  // namespace convoy
