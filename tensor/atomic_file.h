// Files that are there whole or not at all.
#pragma once

#include <filesystem>
#include <string_view>

namespace convoy {

// Replaces the content of `path` by `bytes`: temporary file beside it, fsync, rename, fsync of the folder. Throws
// Error(io), leaving any old file intact and no temporary one.
void write_file_atomically(const std::filesystem::path& path, std::string_view bytes);

// Makes the names in a folder survive a power cut, as far as its file system can.
void sync_folder(const std::filesystem::path& folder);

}  // namespace convoy
