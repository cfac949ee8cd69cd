// `convoy data list`: the data sets Convoy knows, and where they are.
#include <fmt/format.h>

#include "apps/commands.h"
#include "apps/number_text.h"
#include "data/dataset.h"

namespace convoy {

int run_data_list(const GivenOptions& given) {
  const auto folder = given.find("--data");
  const std::filesystem::path data = folder == given.end() ? "" : folder->second;
  for (const DatasetRow& row : dataset_table()) {
    fmt::print("{:<10} {}\n", row.name, row.help);
    try {
      const DatasetSplits splits = load_dataset({.name = row.name, .data = data});
      const Shape& shape = splits.train.images.shape();
      fmt::print("{:<10} {} training, {} test images, {}x{}x{}, {} classes\n", "", grouped(splits.train.size()),
                 grouped(splits.test.size()), shape[1], shape[2], shape[3], splits.train.classes.size());
      fmt::print("{:<10} where: {}\n", "", row.find(data).string());
      for (const std::string& warning : splits.warnings) fmt::print("{:<10} {}\n", "", warning);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;
      fmt::print("{:<10} {}\n", "", error.what());
    }
  }
  return 0;
}

}  // namespace convoy
