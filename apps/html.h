// Pieces of the pages that Convoy writes, which need nothing beside them.
#pragma once

#include <string>
#include <vector>

#include "apps/plots.h"

namespace convoy {

// Text as it may stand between tags and in attributes.
std::string html_text(const std::string& text);

// All up to the first thing in the body, with the style of the pieces below.
std::string page_head(const std::string& title);

// "<td>text</td>"; numbers stand at the right.
std::string html_cell(const std::string& text, bool number = false);

// A picture with its caption.
std::string figure(const Picture& picture);
// Likewise one that is there as the bytes of a PNG file.
std::string png_figure(const std::string& caption, const std::string& png);

}  // namespace convoy
