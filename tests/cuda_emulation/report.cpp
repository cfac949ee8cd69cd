#include "tests/cuda_emulation/report.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <string_view>
#include <utility>
#include <vector>

namespace convoy::emulation {
namespace {

// "0-31, 64"
std::string ranges_of(const std::vector<unsigned>& numbers) {
  std::string text;
  for (size_t i = 0, end; i < numbers.size(); i = end) {
    for (end = i + 1; end < numbers.size() && numbers[end] == numbers[end - 1] + 1;) ++end;
    text += fmt::format("{}{}", text.empty() ? "" : ", ", numbers[i]);
    if (end - i > 1) text += fmt::format("-{}", numbers[end - 1]);
  }
  return text;
}

std::string describe(const EmulatedThread& thread) {
  switch (thread.state) {
    case EmulatedThread::State::ready:
      return "could go on";
    case EmulatedThread::State::exited:
      return "have exited";
    case EmulatedThread::State::at_barrier:
      break;
    case EmulatedThread::State::in_warp:
      return fmt::format("wait at {} of lanes {:#010x} ({})", thread.site.what, thread.mask,
                         describe_place(thread.site.where));
  }
  return fmt::format("wait at {} ({})", thread.site.what, describe_place(thread.site.where));
}

}  // namespace

std::string kernel_name(const void* kernel) {
  Dl_info module = {};
  std::string name;
  if (dladdr(kernel, &module) != 0) {
    const auto offset = static_cast<const char*>(kernel) - static_cast<const char*>(module.dli_fbase);
    const std::string command = fmt::format("addr2line -fCe /proc/{}/exe {:#x} 2>/dev/null", getpid(), offset);
    if (FILE* const output = popen(command.c_str(), "r")) {
      for (int c = fgetc(output); c != EOF && c != '\n'; c = fgetc(output)) name += static_cast<char>(c);
      pclose(output);
    }
  }
  return name.empty() || name == "??" ? fmt::format("kernel {}", kernel) : name;
}

std::string describe_place(const std::source_location& where) {
  const std::string_view path = where.file_name();
  return fmt::format("{}:{}", path.substr(path.rfind('/') + 1), where.line());
}

std::string describe_failure(const Launch& launch, const uint3& block, const std::string& what) {
  return fmt::format("{}, block ({},{},{}): {}", kernel_name(launch.kernel), block.x, block.y, block.z, what);
}

std::string describe_threads(std::span<const EmulatedThread> threads) {
  std::vector<std::pair<std::string, std::vector<unsigned>>> groups;
  for (const EmulatedThread& thread : threads) {
    const std::string text = describe(thread);
    size_t i = 0;
    while (i < groups.size() && groups[i].first != text) ++i;
    if (i == groups.size()) groups.push_back({text, {}});
    groups[i].second.push_back(thread.number);
  }
  std::string all;
  for (const auto& [text, numbers] : groups) all += fmt::format("\n  threads {} {}", ranges_of(numbers), text);
  return all;
}

}  // namespace convoy::emulation
