// Where data sets are looked for.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

namespace convoy {

// `data` (the user's --data) alone when it is not empty; else $CONVOY_DATA and the user cache
// ($XDG_CACHE_HOME/convoy or ~/.cache/convoy), those that are set, whether they exist or not. Each as
// DIR/<folder> and DIR itself, in the order of search.
std::vector<std::filesystem::path> places_to_search(const std::filesystem::path& data, std::string_view folder);

}  // namespace convoy
