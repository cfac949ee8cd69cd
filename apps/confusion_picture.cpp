#include "apps/confusion_picture.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/letters.h"
#include "apps/number_text.h"

namespace convoy {
namespace {

constexpr int64_t kMostWithNumbers = 25, kMostWithNames = 60;  // classes
constexpr int64_t kNameLetters = 24;

// Pixels of a cell's side.
int64_t cell_of(int64_t classes) {
  if (classes <= kMostWithNumbers) return classes <= 12 ? 52 : 44;
  return classes <= kMostWithNames ? 16 : std::max<int64_t>(2, 960 / classes);
}

// A name as a tic, which is a format for its number.
std::string tic_text(const std::string& name) {
  std::string text;
  for (const char letter : shortened(name, kNameLetters)) text += letter == '%' ? "%%" : std::string(1, letter);
  return text;
}

std::string tics(const ConfusionMatrix& confusion) {
  std::string list;
  for (int64_t i = 0; i < confusion.classes(); ++i)
    list += fmt::format("{}{} {}", i == 0 ? "" : ", ", in_quotes(tic_text(confusion.name(i))), i);
  return list;
}

// What a cell is taken for, how large a share of its class that is, and the text that stands in it.
std::string cells(const ConfusionMatrix& confusion) {
  std::string shares, texts;
  for (int64_t actual = 0; actual < confusion.classes(); ++actual) {
    const int64_t all = std::max<int64_t>(1, confusion.samples(actual));
    for (int64_t predicted = 0; predicted < confusion.classes(); ++predicted) {
      const int64_t count = confusion.count(actual, predicted);
      const double share = 100.0 * static_cast<double>(count) / static_cast<double>(all);
      shares += fmt::format("{} {} {:.3f}\n", predicted, actual, share);
      if (count > 0)
        texts += fmt::format("{} {} \"{}\" {}\n", predicted, actual, grouped(count), share > 50 ? 0xffffff : 0x202020);
    }
    shares += "\n";
  }
  return "$shares << EOD\n" + shares + "EOD\n$texts << EOD\n" + texts + "EOD\n";
}

}  // namespace

Drawing confusion_picture(const ConfusionMatrix& confusion, const std::string& title) {
  const int64_t classes = confusion.classes(), cell = cell_of(classes);
  int64_t letters = 3;
  for (int64_t i = 0; i < classes; ++i) letters = std::max(letters, letters_of(confusion.name(i)));
  const bool named = classes <= kMostWithNames, numbers = classes <= kMostWithNumbers;
  const int64_t names = named ? 12 + 8 * std::min(letters, kNameLetters) : 12;
  const int64_t left = names + 36, top = 44, bottom = names + 36, right = 96, side = classes * cell;
  // Wide enough for the title, too.
  const int64_t w = std::max(left + side + right, 24 + 9 * letters_of(title)), h = top + side + bottom;
  const auto part = [](int64_t pixels, int64_t of) { return static_cast<double>(pixels) / static_cast<double>(of); };
  std::string script = cells(confusion);
  script += fmt::format(
      "set lmargin at screen {}\nset rmargin at screen {}\nset tmargin at screen {}\nset bmargin at screen {}\n"
      "set label {} at screen {},{} left font \",12\"\n",
      part(left, w), part(left + side, w), 1 - part(top, h), part(bottom, h), in_quotes(title), part(12, w),
      1 - part(top / 2, h));
  script += fmt::format(
      "set xrange [-0.5:{0}.5] noextend\nset yrange [{0}.5:-0.5] noextend\nset cbrange [0:100]\n"
      "set palette defined (0 \"#ffffff\", 8 \"#cfe1f2\", 50 \"#4292c6\", 100 \"#08306b\")\n"
      "set cblabel \"% of the class\" offset -0.5,0\nset colorbox user origin {1},{2} size {3},{4}\nset cbtics 25\n"
      "set xlabel \"taken for\"\nset ylabel \"is\"\nunset key\nset border linecolor rgb \"#808080\"\n",
      classes - 1, part(left + side + 14, w), part(bottom, h), part(14, w), part(side, h));
  if (named) {
    const std::string list = tics(confusion);
    script += fmt::format("set ytics ({0}) scale 0\nset xtics rotate by 90 right ({0}) scale 0\n", list);
  } else {
    script += "unset xtics\nunset ytics\n";
  }
  script += "plot $shares using 1:2:3 with image pixels";
  if (numbers) script += ", \\\n  $texts using 1:2:3:4 with labels font \",9\" textcolor rgb variable";
  return {.w = w, .h = h, .script = script + "\n", .data = {}};
}

}  // namespace convoy
