#include "apps/data_request.h"

#include <fmt/format.h>

#include "apps/live_line.h"
#include "apps/number_text.h"

namespace convoy {

DatasetSplits load_data(const Settings& settings, bool tell) {
  LiveLine line;
  const auto show = [&](int64_t done, int64_t all) {
    const std::string text = fmt::format("{}  {}/{} images", settings.dataset, grouped(done), grouped(all));
    line.show(text.substr(0, static_cast<size_t>(line.columns())));
  };
  DatasetRequest request{.name = settings.dataset,
                         .data = settings.data,
                         .seed = static_cast<uint64_t>(settings.seed),
                         .holdout = settings.holdout,
                         .limit = settings.limit,
                         .image_size = settings.image_size,
                         .val_split = settings.val_split,
                         .skip_bad_images = settings.skip_bad_images};
  if (tell) request.on_progress = show;
  DatasetSplits splits = load_dataset(request);
  line.wipe();
  if (tell) {
    for (const std::string& warning : splits.warnings) fmt::print(stderr, "convoy: warning: {}\n", warning);
  }
  return splits;
}

DatasetForm form_of(const Settings& settings) {
  const DatasetRow& row = find_dataset_row(settings.dataset);
  if (!row.takes_path) return {row.h, row.w, row.c, row.classes};
  const Dataset images = load_data(settings).train;
  return {images.images.size(1), images.images.size(2), images.images.size(3),
          static_cast<int64_t>(images.classes.size())};
}

}  // namespace convoy
