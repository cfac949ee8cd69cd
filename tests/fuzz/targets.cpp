#include "tests/fuzz/targets.h"

#include <array>

#include "tests/fuzz/target.h"

namespace convoy::fuzz {
namespace {

constexpr std::array kTargets = {
    Target{"idx", fuzz_idx},
    Target{"cifar10", fuzz_cifar10},
    Target{"tar", fuzz_tar},
    Target{"safetensors", fuzz_safetensors},
    Target{"checkpoint", fuzz_checkpoint},
    // A refusal shows the line of the description, and points at the place.
    Target{"description", fuzz_description, ErrorKind::usage, 3},
    Target{"config", fuzz_config},
    Target{"config_file", fuzz_config_file, ErrorKind::usage},
    Target{"config_toml", fuzz_config_toml, ErrorKind::usage},
    Target{"metrics", fuzz_metrics},
    Target{"image", fuzz_image},
};

}  // namespace

std::span<const Target> target_table() { return kTargets; }

}  // namespace convoy::fuzz
