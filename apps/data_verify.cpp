// `convoy data verify [NAME]`: whether the files of the data sets that are here are the official ones.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

#include "apps/commands.h"
#include "apps/options.h"
#include "data/verify.h"
#include "tensor/counted.h"
#include "tensor/error.h"

namespace convoy {

int run_data_verify(const GivenOptions& given) {
  const Settings settings = as_given(given);
  CHECK(settings.dataset != "synthetic", "data verify: synthetic digits are drawn by code, there are no files");
  CHECK(settings.dataset.empty() || !find_dataset_row(settings.dataset).takes_path,
        "data verify: {} is a folder of your own, which is published nowhere", settings.dataset);
  bool any = false;
  int64_t damaged = 0;
  std::vector<std::string> to_fetch;
  for (const Publication& publication : publication_table()) {
    if (!settings.dataset.empty() && settings.dataset != publication.name) continue;
    const DatasetRow& row = find_dataset_row(publication.name);
    if (settings.dataset.empty() && row.find(settings.data).empty()) continue;
    any = true;
    const int64_t before = damaged;
    for (const VerifiedFile& file : verify(row, publication, place_of(row, settings.data))) {
      fmt::print("{}\n", file.line);
      damaged += file.verdict == Verdict::damaged;
    }
    if (damaged > before) to_fetch.push_back(fmt::format("`convoy data fetch {}`", publication.name));
  }
  if (!any) fmt::print("no data set is here; `convoy data fetch mnist` downloads one\n");
  if (damaged > 0)
    fail(ErrorKind::data, "data verify: {} damaged or missing; {} downloads what is needed", counted(damaged, "file"),
         fmt::join(to_fetch, ", "));
  return 0;
}

}  // namespace convoy
