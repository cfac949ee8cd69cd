#include "data/class_folders.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "tensor/counted.h"
#include "tensor/error.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

// "a/7.JPG" ends with ".jpg".
std::string ending_of(const fs::path& path) {
  std::string ending = path.extension().string();
  for (char& letter : ending) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  return ending;
}

void add_pictures_below(const fs::path& folder, int depth, std::vector<fs::path>& pictures) {
  constexpr int kDeepest = 32;  // links may lead in circles
  if (depth > kDeepest) fail(ErrorKind::data, "{}: {} folders deep", folder.string(), depth);
  const FolderContent content = content_of(folder);
  for (const std::string& name : content.files) {
    if (is_picture_name(name)) pictures.push_back(folder / name);
  }
  for (const std::string& name : content.folders) add_pictures_below(folder / name, depth + 1, pictures);
}

[[noreturn]] void fail_without_classes(const fs::path& folder, const FolderContent& content) {
  const auto pictures = std::ranges::count_if(content.files, is_picture_name);
  fail(ErrorKind::data,
       "{}: no folders are in it{}; put the images of each class into a folder of its own there, named like the class",
       folder.string(), pictures == 0 ? "" : fmt::format(", but {}", counted(pictures, "image")));
}

}  // namespace

bool is_picture_name(const fs::path& path) {
  constexpr std::array kEndings = {".png", ".jpg", ".jpeg", ".bmp"};
  return std::ranges::find(kEndings, ending_of(path)) != kEndings.end();
}

FolderContent content_of(const fs::path& folder) {
  FolderContent content;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name.starts_with('.')) continue;
    std::error_code none;
    (at->is_directory(none) ? content.folders : content.files).push_back(name);
  }
  if (error) fail(ErrorKind::data, "{}: {}", folder.string(), error.message());
  std::ranges::sort(content.folders);
  std::ranges::sort(content.files);
  return content;
}

std::vector<fs::path> pictures_below(const fs::path& folder) {
  std::vector<fs::path> pictures;
  add_pictures_below(folder, 0, pictures);
  return pictures;
}

std::vector<ClassFolder> class_folders(const fs::path& folder, std::map<std::string, int64_t>& left_out) {
  const FolderContent classes = content_of(folder);
  if (classes.folders.empty()) fail_without_classes(folder, classes);
  std::vector<ClassFolder> result;
  for (const std::string& name : classes.folders) {
    const fs::path place = folder / name;
    const FolderContent content = content_of(place);
    ClassFolder one{.name = name, .pictures = {}};
    for (const std::string& file : content.files) {
      if (is_picture_name(file)) {
        one.pictures.push_back(place / file);
      } else {
        const std::string ending = ending_of(file);
        ++left_out[ending.empty() ? "no ending" : ending];
      }
    }
    if (!content.folders.empty()) left_out["folders"] += static_cast<int64_t>(content.folders.size());
    if (one.pictures.empty())
      fail(ErrorKind::data, "{}: a class without images; {}", place.string(),
           content.folders.empty() ? "put some there (PNG, JPEG or BMP), or remove the folder"
                                   : "folders in it are not looked into, unless there are train and test (or val)");
    result.push_back(std::move(one));
  }
  return result;
}

}  // namespace convoy
