// Checkpoints, with their checksum put right, so that damage gets past it. What is taken holds the numbers of a
// training, and fills a network and its optimizer whole.
#include <algorithm>
#include <cstring>

#include "apps/training_state.h"
#include "layers/checkpoint.h"
#include "layers/models.h"
#include "tensor/sha256.h"
#include "tests/fuzz/input_file.h"
#include "tests/fuzz/target.h"
#include "tests/fuzz/targets.h"

namespace convoy::fuzz {
namespace {

constexpr std::string_view kEntry = R"("sha256":")";
constexpr size_t kDigits = 64;

// Puts the SHA-256 of the file with zeros in its place where docs/checkpoint_format.md says it is.
std::string with_checksum(std::string_view input) {
  std::string bytes(input);
  const size_t entry = bytes.size() < 8 ? std::string::npos : bytes.find(kEntry, 8);
  if (entry == std::string::npos || entry + kEntry.size() + kDigits > bytes.size()) return bytes;
  const auto digits = bytes.begin() + static_cast<std::ptrdiff_t>(entry + kEntry.size());
  std::fill_n(digits, kDigits, '0');
  std::ranges::copy(sha256(bytes), digits);
  return bytes;
}

}  // namespace

void fuzz_checkpoint(std::string_view input) {
  const Checkpoint checkpoint = read_checkpoint(write_input("checkpoint.safetensors", with_checksum(input)));
  const TrainingState state = state_of(checkpoint);
  const CheckpointFacts facts = facts_of(state);
  require(std::ranges::all_of(facts, [&](const auto& fact) { return checkpoint.file.metadata.contains(fact.first); }),
          "a training's numbers are those of the file");
  require(state.steps >= 0 && state.samples >= 0 && state.seconds >= 0, "no number of a training is negative");

  const std::unique_ptr<Module> net = make_model("conv 2 1; bn; flatten; linear 2", {1, 2, 1}, 2);
  std::vector<Variable> variables;
  for (const NamedVariable& parameter : net->parameters()) variables.push_back(parameter.variable);
  const std::unique_ptr<Optimizer> optimizer = make_adam(variables, {});
  checkpoint.load(*net);
  checkpoint.load(*optimizer);
  const Tensor &file = checkpoint.file.tensors.at("3.bias"), net_bias = net->parameters().back().variable.value();
  require(std::memcmp(file.raw(), net_bias.raw(), static_cast<size_t>(file.bytes())) == 0, "weights are the file's");
}

}  // namespace convoy::fuzz
