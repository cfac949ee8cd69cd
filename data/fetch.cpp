#include "data/fetch.h"

#include <algorithm>

#include "data/folder_lock.h"
#include "data/unpack.h"
#include "tensor/error.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

// Those that are not in `folder`, or not as published.
std::vector<PublishedFile> missing_of(const std::vector<PublishedFile>& files, const fs::path& folder) {
  std::vector<PublishedFile> missing;
  std::ranges::copy_if(files, std::back_inserter(missing),
                       [&](const PublishedFile& file) { return !is_published(folder / file.name, file); });
  return missing;
}

int64_t size_of(const fs::path& path) {
  std::error_code missing;
  const auto bytes = fs::file_size(path, missing);
  return missing ? 0 : static_cast<int64_t>(bytes);
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error)
    fail(ErrorKind::io, "{}: cannot be made a folder: {}; choose another one with --data DIR", folder.string(),
         error.message());
}

void check_space(const std::string& name, const fs::path& folder, const std::vector<PublishedFile>& downloads,
                 const std::vector<PublishedFile>& contents) {
  int64_t needed = 0;
  for (const PublishedFile& file : downloads) needed += file.bytes - size_of(folder / (file.name + ".part"));
  for (const PublishedFile& file : contents) needed += file.bytes;
  std::error_code unknown;
  const fs::space_info space = fs::space(folder, unknown);
  if (unknown || needed <= 0 || space.available >= static_cast<uintmax_t>(needed)) return;
  constexpr double kMegabyte = 1e6;
  fail(ErrorKind::io, "{}: {:.1f} MB are free, {} needs {:.1f} MB; free some, or choose another folder with --data DIR",
       folder.string(), static_cast<double>(space.available) / kMegabyte, name,
       static_cast<double>(needed) / kMegabyte);
}

}  // namespace

Fetched fetch(const Publication& publication, const fs::path& folder, const FetchWatch& watch) {
  if (missing_of(publication.files(), folder).empty()) return Fetched::before;
  make_folder(folder);
  const FolderLock lock(
      folder, [&] { watch.tell(fmt::format("{}: another download is filling it; waiting for that", folder.string())); },
      watch.going_on);
  if (!lock.held()) return Fetched::stopped;
  // Once more: that other download may have brought them.
  const std::vector<PublishedFile> missing = missing_of(publication.files(), folder);
  if (missing.empty()) return Fetched::before;

  const bool archived = !publication.contents.empty();
  const std::vector<PublishedFile> downloads = archived ? missing_of(publication.downloads, folder) : missing;
  for (const PublishedFile& file : missing) {
    const fs::path path = folder / file.name;
    if (fs::exists(path))
      watch.tell(fmt::format("{}: is not the official file; kept as {}.old", path.string(), file.name));
  }
  check_space(publication.name, folder, downloads, archived ? missing : std::vector<PublishedFile>{});
  for (const PublishedFile& file : downloads) {
    if (!fetch_file(file, publication.mirrors, folder, watch)) return Fetched::stopped;
  }
  if (archived) {
    for (const PublishedFile& archive : publication.downloads) unpack(folder / archive.name, missing, folder);
    // The archives are done with, but one that somebody else has put there is theirs.
    std::error_code ignored;
    for (const PublishedFile& archive : downloads) fs::remove(folder / archive.name, ignored);
  }
  return Fetched::now;
}

}  // namespace convoy
