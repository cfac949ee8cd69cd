// The files that data sets are published as: where they are, and by which sums they are known.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace convoy {

struct PublishedFile {
  std::string name;  // "train-images-idx3-ubyte.gz"
  int64_t bytes = 0;
  std::string sha256;
};

struct Publication {
  std::string name;                       // that of the data set: "mnist"
  std::vector<std::string> mirrors;       // "https://host/folder/", tried in this order
  std::vector<PublishedFile> downloads;   // what the mirrors have
  std::vector<PublishedFile> contents{};  // of the archive that is downloaded; empty: the downloads are no archive
  std::vector<PublishedFile> other{};     // further forms of the same: unpacked, where people often have that

  // What is in the data set's folder once it is here.
  const std::vector<PublishedFile>& files() const { return contents.empty() ? downloads : contents; }
  // The one of that name, whether download, content or another form; null for none.
  const PublishedFile* find(std::string_view file) const;
};

std::span<const Publication> publication_table();
const Publication& find_publication(std::string_view name);  // throws unknown_name

// Whether `path` is that very file, byte by byte. False when it is not there or cannot be read.
bool is_published(const std::filesystem::path& path, const PublishedFile& file);

}  // namespace convoy
