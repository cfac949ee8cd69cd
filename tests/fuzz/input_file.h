// Files for parsers that take a path.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace convoy::fuzz {

// A folder of this process, in $TMPDIR, removed with it.
const std::filesystem::path& input_folder();

// Fills <input_folder()>/<name>, in a folder that is made when it is not there, and returns its path.
std::filesystem::path write_input(const std::string& name, std::string_view bytes);

std::string read_output(const std::filesystem::path& path);  // the whole file

}  // namespace convoy::fuzz
