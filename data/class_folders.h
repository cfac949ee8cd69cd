// Pictures in folders: which files are pictures by their names, and of which class.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace convoy {

// By its name: .png, .jpg, .jpeg or .bmp, in small or capital letters.
bool is_picture_name(const std::filesystem::path& path);

// The names of what is in a folder, sorted, but for hidden ones. Throws Error(data) when it cannot be read.
struct FolderContent {
  std::vector<std::string> folders, files;
};
FolderContent content_of(const std::filesystem::path& folder);

// All pictures in a folder and the folders in it, sorted.
std::vector<std::filesystem::path> pictures_below(const std::filesystem::path& folder);

struct ClassFolder {
  std::string name;
  std::vector<std::filesystem::path> pictures;  // sorted
};

// The classes of a folder, each a folder in it, sorted. `left_out` counts what is no picture, by the end of its name.
// Throws Error(data) for no folders, or one without pictures.
std::vector<ClassFolder> class_folders(const std::filesystem::path& folder, std::map<std::string, int64_t>& left_out);

}  // namespace convoy
