// Data sets as the files of MNIST or CIFAR-10, for Convoy and others to read.
#pragma once

#include "data/dataset.h"

namespace convoy {

struct DatasetFormatRow {
  const char* name;  // "idx", "cifar"
  const char* help;
  const char* read_as;  // the data set that Convoy takes the files for
  // Writes the files into `folder`, which exists. Images of other channels are made grey, or get three equal ones.
  // Returns the files. Throws Error(data) for images or classes that the format does not have, Error(io).
  std::vector<std::filesystem::path> (*write)(const DatasetSplits& splits, const std::filesystem::path& folder);
};

std::span<const DatasetFormatRow> dataset_format_table();
const DatasetFormatRow& find_dataset_format(std::string_view name);  // throws unknown_name

}  // namespace convoy
