// Options from a file (--config): TOML (https://toml.io/en/v1.0.0), of which a flat list is enough,
//
//   # small.toml
//   model = "conv 8 3x3; relu; flatten; linear 10"
//   batch = 128
//   augment = true       # "on"
//   label-smoothing = 0.1
//
// or the config.json of an earlier run. There, what the run met (program, kernels, numbers of images) and what was its
// own (folder, files that it wrote, threads) is left out, and so are settings that have no effect beside those given.
// Options of a training that are none of the command are left out of either file.
#pragma once

#include <string>
#include <vector>

#include "apps/settings.h"

namespace convoy {

// `given` without --config, completed by that file: what is given stays. `options` are those of the command named
// `command`. Throws Error(usage) that begins with the file and the line.
GivenOptions with_config(const GivenOptions& given, const std::string& command,
                         const std::vector<std::string>& options);

}  // namespace convoy
