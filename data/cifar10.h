// CIFAR-10: 50,000 training and 10,000 test photographs of ten classes, 32 x 32 RGB, in its "binary version".
// Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
#pragma once

#include "data/dataset.h"

namespace convoy {

constexpr const char* kCifar10Folder = "cifar-10-batches-bin";

// The first place searched that is, or holds, cifar-10-binary.tar.gz or the .bin files; or an empty path. A
// folder with .bin files wins over an archive.
std::filesystem::path find_cifar10(const std::filesystem::path& data);

// What load_cifar10() would read: the archive `found`, or those of the .bin files that are in the folder.
std::vector<std::filesystem::path> cifar10_files_in(const std::filesystem::path& found);

// What one of these holds: "10000 records". Throws Error(data) when it is damaged.
std::string describe_cifar10_file(const std::filesystem::path& file);

// Reads data_batch_1.bin to data_batch_5.bin, of which some may be missing, and test_batch.bin from a folder
// or a .tar.gz. A file is a whole number of records of 1 label byte and 3 x 32 x 32 planar pixels. Throws
// Error(data) for anything else.
DatasetSplits load_cifar10(const std::filesystem::path& found);

}  // namespace convoy
