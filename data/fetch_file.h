// One published file from the first mirror that has it, going on where an earlier download was cut off.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <span>
#include <string>

#include "data/published_files.h"

namespace convoy {

// What the caller sees of downloads, and how it ends them. All three are set.
struct FetchWatch {
  std::function<void(const std::string& line)> tell;                      // something to know
  std::function<void(const PublishedFile& file, int64_t bytes)> arrived;  // so many of file.bytes are here
  std::function<bool()> going_on;                                         // false: end, soon and in order
  std::chrono::seconds patience{30};  // with a server that does not answer or sends nothing
};

// Downloads `file` into `folder`, under its name; an older file of that name is kept as `<name>.old`. Nothing gets the
// name but bytes with the published SHA-256: what has arrived when a download ends early is `<name>.part`, from which
// the next one goes on, at whichever mirror. Returns false when going_on() said no. Throws Error(data), which names
// each mirror and what was wrong with it, or Error(io).
bool fetch_file(const PublishedFile& file, std::span<const std::string> mirrors, const std::filesystem::path& folder,
                const FetchWatch& watch);

}  // namespace convoy
