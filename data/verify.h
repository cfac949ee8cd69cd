// Whether the files of a data set are the published ones.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/published_files.h"

namespace convoy {

enum class Verdict {
  official,  // byte by byte, by its SHA-256
  other,     // sound, but not that: fewer records, for one
  damaged,   // cannot be read, does not fit the others, or differs from an official file of the same size
};

struct VerifiedFile {
  std::filesystem::path path;
  Verdict verdict;
  std::string line;  // "/data/mnist/train-images-idx3-ubyte.gz: official"
};

// All files that row.load() would read at `found`, each by itself.
std::vector<VerifiedFile> verify_files(const DatasetRow& row, const Publication& publication,
                                       const std::filesystem::path& found);

// And together: what keeps them from being loaded is a line of its own.
std::vector<VerifiedFile> verify(const DatasetRow& row, const Publication& publication,
                                 const std::filesystem::path& found);

}  // namespace convoy
