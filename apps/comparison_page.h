// The report as one HTML file that needs nothing beside it: tables, settings, machine, and the pictures as SVG in it.
#pragma once

#include <string>
#include <vector>

#include "apps/comparison.h"
#include "apps/plots.h"

namespace convoy {

// `no_pictures`: why there are none, when there are none.
std::string report_page(const Comparison& comparison, const std::vector<Picture>& pictures,
                        const std::string& no_pictures);

}  // namespace convoy
