// `convoy data fetch NAME`: downloads a data set from its mirrors, or goes on where an earlier download ended.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "apps/commands.h"
#include "apps/download_display.h"
#include "apps/interrupt.h"
#include "apps/options.h"
#include "data/fetch.h"
#include "data/places.h"
#include "data/verify.h"
#include "tensor/error.h"

namespace convoy {
namespace {

Publication wanted(const Settings& settings) {
  if (settings.dataset.empty()) {
    std::vector<std::string> names;
    for (const Publication& publication : publication_table()) names.push_back(publication.name);
    fail(ErrorKind::usage, "data fetch: which data set? One of: {}", fmt::join(names, ", "));
  }
  CHECK(settings.dataset != "synthetic",
        "data fetch: synthetic digits are drawn by code, there is nothing to download");
  CHECK(!find_dataset_row(settings.dataset).takes_path, "data fetch: {} is a folder of your own", settings.dataset);
  Publication publication = find_publication(settings.dataset);
  if (!settings.mirror.empty()) publication.mirrors = {settings.mirror};
  return publication;
}

bool all_official(const DatasetRow& row, const Publication& publication, const std::filesystem::path& place) {
  const std::vector<VerifiedFile> files = verify(row, publication, place);
  return std::ranges::all_of(files, [](const VerifiedFile& file) { return file.verdict == Verdict::official; });
}

// Where it is put: where it would be looked for first.
std::filesystem::path target(const DatasetRow& row, const std::filesystem::path& data) {
  const std::vector<std::filesystem::path> places = places_to_search(data, row.folder);
  CHECK(!places.empty(), "data fetch: where to? Neither --data, $CONVOY_DATA nor $HOME is set");
  return places.front();
}

}  // namespace

int run_data_fetch(const GivenOptions& given) {
  const Settings settings = as_given(given);
  const Publication publication = wanted(settings);
  const DatasetRow& row = find_dataset_row(publication.name);
  const std::filesystem::path found = row.find(settings.data);
  if (!found.empty() && all_official(row, publication, found)) {
    fmt::print("{}: is here already, official, in {}\n", publication.name, found.string());
    return 0;
  }

  const std::filesystem::path folder = target(row, settings.data);
  const InterruptGuard interrupt("stopping");
  DownloadDisplay display;
  const FetchWatch watch{.tell = [&](const std::string& line) { display.line(line); },
                         .arrived = [&](const PublishedFile& file, int64_t bytes) { display.arrived(file, bytes); },
                         .going_on = [&] { return interrupt.signal() == 0; }};
  const Fetched fetched = fetch(publication, folder, watch);
  if (fetched == Fetched::stopped) {
    display.line(fmt::format("stopped; `convoy data fetch {}` goes on from what has arrived in {}", publication.name,
                             folder.string()));
    return 128 + interrupt.signal();
  }
  display.line(fmt::format("{}: {}, official, in {}", publication.name,
                           fetched == Fetched::now ? "downloaded" : "is here already", folder.string()));
  // Something else that lies there may be read in place of what was downloaded.
  for (const VerifiedFile& file : verify(row, publication, row.find(settings.data))) {
    if (file.verdict != Verdict::official) display.line("but this is read first: " + file.line);
  }
  return 0;
}

}  // namespace convoy
