// A confusion matrix as a PNG file.
#pragma once

#include <filesystem>
#include <string>

#include "apps/confusion.h"

namespace convoy {

// A row for each class, a column for what it is taken for; the darker, the larger the share of the class; with numbers as long as they can be
// read. Throws Error(io).
void draw_confusion(const ConfusionMatrix& confusion, const std::string& title, const std::filesystem::path& output);

}  // namespace convoy
