// Files that give way to a download.
#pragma once

#include <filesystem>

namespace convoy {

// A file that is not the published one may still be of value to somebody: if there is one at `path`, it becomes
// `<name>.old`, in place of an earlier one. Throws Error(io).
void set_aside(const std::filesystem::path& path);

}  // namespace convoy
