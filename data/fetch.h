// Brings a published data set here.
#pragma once

#include <filesystem>

#include "data/fetch_file.h"
#include "data/published_files.h"

namespace convoy {

enum class Fetched {
  now,      // downloaded by this call
  before,   // it was there
  stopped,  // watch.going_on() said no; the next call goes on from what has arrived
};

// Sees to it that all files of `publication` are in `folder`, which is made if need be, and are the published ones,
// byte by byte. Only what is missing or different is downloaded. Of two calls at once for one folder, in whatever
// processes, the second waits. Throws Error(data) when no mirror has the right file, Error(io) when the folder cannot
// be written to or has too little space, and Error(usage) in a build without libcurl that would have to download.
Fetched fetch(const Publication& publication, const std::filesystem::path& folder, const FetchWatch& watch);

}  // namespace convoy
