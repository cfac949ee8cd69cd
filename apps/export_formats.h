// The formats that `convoy export` writes (docs/interchange.md).
#pragma once

#include <filesystem>
#include <span>
#include <string_view>

#include "apps/chosen_model.h"

namespace convoy {

struct ExportFormat {
  const char* name;  // also how its files' names end: ".onnx"
  const char* help;
  void (*write)(const std::filesystem::path& path, const ChosenModel& chosen);  // atomically; throws Error(io)
};

std::span<const ExportFormat> export_format_table();
const ExportFormat& find_export_format(std::string_view name);  // throws unknown_name

// Writes the file and prints a line about it.
void write_exported(const ExportFormat& format, const std::filesystem::path& path, const ChosenModel& chosen);

// That of a file whose name ends so. Throws Error(usage) when none does.
const ExportFormat& export_format_of(const std::filesystem::path& path);

}  // namespace convoy
