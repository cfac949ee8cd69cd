#include "apps/html.h"

#include <fmt/format.h>

#include <cstdint>

namespace convoy {
namespace {

constexpr const char* kStyle = R"(<style>
body { font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; color: #222; background: #fff; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
h1, h2, h3 { line-height: 1.2 } h2 { margin-top: 3rem; border-bottom: 1px solid #ccc }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 1rem 0 }
th, td { padding: .25rem .8rem; text-align: left; border-bottom: 1px solid #ddd; vertical-align: top }
td:nth-child(-n+2) { white-space: nowrap }
.number { text-align: right; white-space: nowrap } .failed { color: #b00020 } .beyond td { color: #777 }
.wide { overflow-x: auto } .note { color: #555; margin: .2rem 0 }
figure { margin: 1.5rem 0 } figcaption { font-weight: 600 } svg, img { max-width: 100%; height: auto }
code { background: #f3f3f3; padding: .1rem .3rem; overflow-wrap: anywhere }
</style></head><body>
)";

// From "<svg" on: what comes before belongs into a file of its own.
std::string svg_element(const std::string& file) {
  const size_t begin = file.find("<svg");
  return begin == std::string::npos ? "" : file.substr(begin);
}

// RFC 4648, section 4.
std::string base64(const std::string& bytes) {
  constexpr const char* kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t at = 0; at < bytes.size(); at += 3) {
    uint32_t three = 0;
    for (size_t i = at; i < at + 3; ++i) three = three << 8 | (i < bytes.size() ? static_cast<uint8_t>(bytes[i]) : 0);
    for (int shift = 18; shift >= 0; shift -= 6) text += kDigits[three >> shift & 63];
  }
  // What was filled up with zeros.
  for (size_t missing = (3 - bytes.size() % 3) % 3; missing > 0; --missing) text[text.size() - missing] = '=';
  return text;
}

}  // namespace

std::string html_text(const std::string& text) {
  std::string escaped;
  for (const char letter : text) {
    switch (letter) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += letter;
    }
  }
  return escaped;
}

std::string page_head(const std::string& title) {
  return fmt::format(
             "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
             "content=\"width=device-width\">\n<title>{}</title>\n",
             html_text(title)) +
         kStyle;
}

std::string html_cell(const std::string& text, bool number) {
  return fmt::format("<td{}>{}</td>", number ? " class=\"number\"" : "", html_text(text));
}

std::string png_figure(const std::string& caption, const std::string& png) {
  return fmt::format(
      "<figure><figcaption>{0}</figcaption>\n<img alt=\"{0}\" src=\"data:image/png;base64,{1}\"></figure>\n",
      html_text(caption), base64(png));
}

std::string figure(const Picture& picture) {
  return fmt::format("<figure><figcaption>{}</figcaption>\n{}</figure>\n", html_text(picture.plot.caption),
                     svg_element(picture.svg));
}

}  // namespace convoy
