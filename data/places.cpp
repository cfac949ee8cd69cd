#include "data/places.h"

#include <cstdlib>

namespace convoy {
namespace {

std::filesystem::path from_environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::filesystem::path user_cache() {
  if (const auto cache = from_environment("XDG_CACHE_HOME"); !cache.empty()) return cache / "convoy";
  if (const auto home = from_environment("HOME"); !home.empty()) return home / ".cache" / "convoy";
  return {};
}

}  // namespace

std::vector<std::filesystem::path> places_to_search(const std::filesystem::path& data, std::string_view folder) {
  std::vector<std::filesystem::path> bases;
  if (!data.empty()) {
    bases = {data};
  } else {
    bases = {from_environment("CONVOY_DATA"), user_cache()};
  }
  std::vector<std::filesystem::path> places;
  for (const std::filesystem::path& base : bases) {
    if (base.empty()) continue;
    places.push_back(base / folder);
    places.push_back(base.has_filename() ? base : base.parent_path());  // typed as "data/"
  }
  return places;
}

}  // namespace convoy
