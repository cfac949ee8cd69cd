// `convoy data list`: the data sets Convoy knows, and where they are.
#include <fmt/format.h>

#include "apps/commands.h"
#include "apps/help_text.h"
#include "apps/number_text.h"
#include "apps/options.h"
#include "data/verify.h"

namespace convoy {

namespace {

// ", official", ", not official: test_batch.bin", or nothing where there are no files. They have been loaded.
std::string officially(const DatasetRow& row, const std::filesystem::path& data) {
  if (row.files_in == nullptr) return "";
  std::string others;
  for (const VerifiedFile& file : verify_files(row, find_publication(row.name), row.find(data))) {
    if (file.verdict != Verdict::official)
      others += fmt::format("{}{}", others.empty() ? "" : ", ", file.path.filename().string());
  }
  return others.empty() ? ", official" : ", not official: " + others;
}

}  // namespace

int run_data_list(const GivenOptions& given) {
  const std::filesystem::path data = as_given(given).data;
  for (const DatasetRow& row : dataset_table()) {
    fmt::print("{:<14} {}\n", row.name, row.help);
    if (row.takes_path) continue;
    try {
      const DatasetSplits splits = load_dataset({.name = row.name, .data = data});
      const Shape& shape = splits.train.images.shape();
      fmt::print("{:<14} {} training, {} test images, {}x{}x{}, {} classes\n", "", grouped(splits.train.size()),
                 grouped(splits.test.size()), shape[1], shape[2], shape[3], splits.train.classes.size());
      fmt::print("{:<14} where: {}{}\n", "", row.find(data).string(), officially(row, data));
      for (const std::string& warning : splits.warnings) fmt::print("{:<14} {}\n", "", warning);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;
      fmt::print("{}", wrapped_on_terminal(fmt::format("{:<14} {}\n", "", error.what())));
    }
  }
  return 0;
}

}  // namespace convoy
