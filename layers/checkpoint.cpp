#include "layers/checkpoint.h"

#include <algorithm>
#include <cstring>

#include "layers/weights.h"
#include "tensor/atomic_file.h"
#include "tensor/sha256.h"
#include "tensor/whole_file.h"

namespace convoy {
namespace {

constexpr std::string_view kFormat = "convoy-checkpoint";
constexpr std::string_view kVersion = "1", kVersionOfMore = "2";
constexpr size_t kDigits = 64;  // of a SHA-256
// How the entry begins in the header. Quotes within names and texts are escaped there, so it stands there once.
constexpr std::string_view kEntry = R"("sha256":")";

std::string zeros() { return std::string(kDigits, '0'); }

// Where the digits of the checksum are in the bytes of a file; npos when it has none.
size_t place_of_digits(std::string_view bytes) {
  uint64_t header = 0;
  if (bytes.size() < sizeof header) return std::string_view::npos;
  std::memcpy(&header, bytes.data(), sizeof header);
  const size_t entry = bytes.substr(sizeof header, header).find(kEntry);
  if (entry == std::string_view::npos) return entry;
  const size_t place = sizeof header + entry + kEntry.size();
  return place + kDigits <= bytes.size() ? place : std::string_view::npos;
}

void check_sum(const std::filesystem::path& path) {
  std::string bytes = read_file_if_there(path);
  const size_t place = place_of_digits(bytes);
  if (place == std::string::npos) fail(ErrorKind::data, "{}: has no checksum", path.string());
  const std::string told = bytes.substr(place, kDigits);
  std::ranges::copy(zeros(), bytes.begin() + static_cast<std::ptrdiff_t>(place));
  if (const std::string actual = sha256(bytes); actual != told)
    fail(ErrorKind::data, "{}: damaged: its SHA-256 is {}..., it says {}...", path.string(), actual.substr(0, 12),
         printable(told.substr(0, 12)));
}

}  // namespace

void write_checkpoint(const std::filesystem::path& path, const Module& module, const TrainingParts& parts,
                      const CheckpointFacts& facts) {
  TensorFile file{.tensors = {}, .metadata = facts};
  file.metadata.emplace("format", kFormat);
  file.metadata.emplace("version", parts.training != nullptr || parts.best != nullptr ? kVersionOfMore : kVersion);
  file.metadata.emplace("sha256", zeros());
  add_weights(weights_of(module), file);
  if (parts.training != nullptr) parts.training->add_to(file, std::string(kTrainingPrefix));
  if (parts.best != nullptr) parts.best->add_to(file, std::string(kBestPrefix));
  for (const NamedTensor& entry : parts.optimizer.state())
    file.tensors[std::string(kOptimizerPrefix) + entry.name] = entry.tensor;
  std::string bytes = safetensors_bytes(file);
  std::ranges::copy(sha256(bytes), bytes.begin() + static_cast<std::ptrdiff_t>(place_of_digits(bytes)));
  write_file_atomically(path, bytes);
}

const std::string& Checkpoint::fact(const std::string& name) const {
  const auto found = file.metadata.find(name);
  if (found == file.metadata.end()) fail(ErrorKind::data, "{}: does not tell '{}'", path.string(), name);
  return found->second;
}

void Checkpoint::load(Module& module) const {
  const bool apart =
      std::ranges::any_of(file.tensors, [](const auto& one) { return one.first.starts_with(kTrainingPrefix); });
  load_weights(weights_of(module), file, path.string(), apart ? std::string(kTrainingPrefix) : "");
}

void Checkpoint::load(const TrainingParts& parts) const {
  load(parts.optimizer);
  if (parts.training != nullptr) parts.training->load(file, path.string(), "");
  if (parts.best != nullptr) parts.best->load(file, path.string(), std::string(kBestPrefix));
}

void Checkpoint::load(Optimizer& optimizer) const {
  size_t there = 0;
  for (const auto& [name, tensor] : file.tensors) there += name.starts_with(kOptimizerPrefix);
  std::vector<NamedTensor> state = optimizer.state();
  for (const NamedTensor& entry : state) {
    const std::string name = std::string(kOptimizerPrefix) + entry.name;
    const auto found = file.tensors.find(name);
    if (found == file.tensors.end()) fail(ErrorKind::data, "{}: no tensor '{}'", path.string(), name);
    const Tensor& tensor = found->second;
    if (tensor.shape() != entry.tensor.shape() || tensor.dtype() != entry.tensor.dtype())
      fail(ErrorKind::data, "{}: '{}' is {} {}, the optimizer expects {} {}", path.string(), name,
           name_of(tensor.dtype()), tensor.shape(), name_of(entry.tensor.dtype()), entry.tensor.shape());
  }
  if (there != state.size())
    fail(ErrorKind::data, "{}: has {} tensors of an optimizer's state, the optimizer expects {}", path.string(), there,
         state.size());
  for (NamedTensor& entry : state) entry.tensor.copy_from(file.tensors.at(std::string(kOptimizerPrefix) + entry.name));
}

Checkpoint read_checkpoint(const std::filesystem::path& path) {
  Checkpoint checkpoint{.path = path, .file = read_safetensors(path)};
  const auto format = checkpoint.file.metadata.find("format");
  if (format == checkpoint.file.metadata.end() || format->second != kFormat)
    fail(ErrorKind::data, "{}: is not a checkpoint", path.string());
  if (const std::string& version = checkpoint.fact("version"); version != kVersion && version != kVersionOfMore)
    fail(ErrorKind::data, "{}: has format version {}, this convoy reads versions {} and {}", path.string(),
         printable(version), kVersion, kVersionOfMore);
  check_sum(path);
  return checkpoint;
}

}  // namespace convoy
