// `convoy data convert DATASET OUT --format idx|cifar`: a data set as files that others read, too.
#include <fmt/format.h>

#include "apps/commands.h"
#include "apps/data_request.h"
#include "apps/number_text.h"
#include "apps/options.h"
#include "apps/run_folder.h"
#include "apps/shell_word.h"
#include "data/write_dataset.h"

namespace convoy {

int run_data_convert(const GivenOptions& given) {
  CHECK(given.contains("NAME") && given.contains("OUT"),
        "data convert: name a data set and a folder for the files, as `convoy data convert folder:PATH OUT --format "
        "idx`");
  CHECK(given.contains("--format"), "data convert: choose --format idx or cifar");
  GivenOptions wanted = given;
  wanted["--dataset"] = wanted.extract("NAME").mapped();
  const Settings settings = resolve(wanted);
  const DatasetFormatRow& format = find_dataset_format(settings.format);
  std::error_code error;
  if (std::filesystem::exists(settings.output, error) && !std::filesystem::is_empty(settings.output, error))
    fail(ErrorKind::io, "{}: is not an empty folder; choose a new one", settings.output.string());
  const DatasetSplits splits = load_data(settings);
  create_folder(settings.output);
  for (const std::filesystem::path& file : format.write(splits, settings.output)) fmt::print("{}\n", file.string());
  fmt::print("{} training and {} test images of {}\nto train on them: convoy train --dataset {} --data {}\n",
             grouped(splits.train.size()), grouped(splits.test.size()), settings.dataset, format.read_as,
             shell_word(settings.output.string()));
  if (find_dataset_row(settings.dataset).takes_path)
    fmt::print("their classes then have the names of {}'s; train on {} itself to keep yours\n", format.read_as,
               shell_word(settings.dataset));
  return 0;
}

}  // namespace convoy
