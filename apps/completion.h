// The shells whose completion Convoy writes.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace convoy {

struct ShellRow {
  const char* name;
  const char* help;
  std::string (*script)();
};

std::span<const ShellRow> shell_table();
const ShellRow& find_shell(std::string_view name);  // throws unknown_name

}  // namespace convoy
