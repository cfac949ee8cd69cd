// Folders that runs are kept in: new or empty ones, because an earlier run is never overwritten.
#pragma once

#include <filesystem>
#include <string>

namespace convoy {

// Throws Error(io) unless a run may be written to `folder`: it does not exist or is empty.
void check_run_folder(const std::filesystem::path& folder);

// Creates `folder` and its parents; false when it was there already. Throws Error(io).
bool create_folder(const std::filesystem::path& folder);

// A folder runs/<label>-<time> that did not exist before, also when two runs start in the same second.
std::filesystem::path create_fresh_folder(const std::string& label);

// What of `folder` and its parents create_folder() would create first; empty when all is there.
std::filesystem::path first_missing(const std::filesystem::path& folder);

// Removes `folder` and its parents up to `first_created`, as far as they are empty. Nothing when `first_created`, as of
// first_missing() before, is empty.
void remove_created(const std::filesystem::path& folder, const std::filesystem::path& first_created);

// A model's name as a part of a file name: "custom" for a description on the command line, the file's name for @FILE.
std::string model_label(const std::string& model);

}  // namespace convoy
