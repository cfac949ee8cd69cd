#include "data/verify.h"

#include <algorithm>

#include "tensor/error.h"
#include "tensor/sha256.h"

namespace convoy {
namespace {

// MNIST's files are also spelt with a dot: train-images.idx3-ubyte.
const PublishedFile* official_form_of(const Publication& publication, std::string name) {
  if (const size_t dot = name.find(".idx"); dot != std::string::npos) name[dot] = '-';
  return publication.find(name);
}

VerifiedFile verify_file(const DatasetRow& row, const Publication& publication, const std::filesystem::path& path) {
  const auto result = [&](Verdict verdict, const std::string& text) {
    return VerifiedFile{path, verdict, fmt::format("{}: {}", path.string(), text)};
  };
  const PublishedFile* official = official_form_of(publication, path.filename().string());
  if (official != nullptr && is_published(path, *official)) return result(Verdict::official, "official");
  try {
    const std::string holds = row.describe(path);
    if (official == nullptr)
      return result(Verdict::other, holds + "; whether official is not known, it is not published in this form");
    std::error_code unknown;
    if (std::filesystem::file_size(path, unknown) == static_cast<uintmax_t>(official->bytes))
      return result(Verdict::damaged, fmt::format("damaged, or of another data set: {}, but not those of the official "
                                                  "file, whose size it has; SHA-256 {}",
                                                  holds, sha256_of_file(path)));
    return result(Verdict::other, "not official: " + holds);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data) throw;
    return {path, Verdict::damaged, error.what()};
  }
}

}  // namespace

std::vector<VerifiedFile> verify_files(const DatasetRow& row, const Publication& publication,
                                       const std::filesystem::path& found) {
  std::vector<VerifiedFile> verified;
  for (const std::filesystem::path& path : row.files_in(found)) verified.push_back(verify_file(row, publication, path));
  return verified;
}

std::vector<VerifiedFile> verify(const DatasetRow& row, const Publication& publication,
                                 const std::filesystem::path& found) {
  std::vector<VerifiedFile> verified = verify_files(row, publication, found);
  if (std::ranges::find(verified, Verdict::damaged, &VerifiedFile::verdict) != verified.end()) return verified;
  try {
    row.load(found, {});
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data) throw;
    verified.push_back({found, Verdict::damaged, error.what()});
  }
  return verified;
}

}  // namespace convoy
