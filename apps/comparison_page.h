// The report as one HTML file that needs nothing beside it: tables, settings, machine, and the pictures as SVG in it.
#pragma once

#include <string>
#include <vector>

#include "apps/comparison.h"
#include "apps/comparison_plots.h"

namespace convoy {

struct Picture {
  Plot plot;
  std::string svg;  // the content of the file
};

// `no_pictures`: why there are none, when there are none.
std::string report_page(const Comparison& comparison, const std::vector<Picture>& pictures,
                        const std::string& no_pictures);

// Text as it may stand between tags and in attributes.
std::string html_text(const std::string& text);

}  // namespace convoy
