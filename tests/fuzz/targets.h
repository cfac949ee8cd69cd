// The targets' functions, one file each.
#pragma once

#include <string_view>

namespace convoy::fuzz {

void fuzz_idx(std::string_view input);
void fuzz_cifar10(std::string_view input);
void fuzz_tar(std::string_view input);
void fuzz_safetensors(std::string_view input);
void fuzz_checkpoint(std::string_view input);
void fuzz_description(std::string_view input);
void fuzz_config(std::string_view input);
void fuzz_metrics(std::string_view input);
void fuzz_config_file(std::string_view input);
void fuzz_config_toml(std::string_view input);
void fuzz_image(std::string_view input);

}  // namespace convoy::fuzz
