// The files of a published archive.
#pragma once

#include <filesystem>
#include <span>

#include "data/published_files.h"

namespace convoy {

// Writes those of `contents` that `archive` (tar, plain or gzip) holds, in whatever folder of it, into `folder` itself.
// Others are passed over, and older files are set aside (old_file.h). Throws Error(data) for an archive that is
// damaged, lacks one of them, or holds it with another SHA-256, and Error(io).
void unpack(const std::filesystem::path& archive, std::span<const PublishedFile> contents,
            const std::filesystem::path& folder);

}  // namespace convoy
