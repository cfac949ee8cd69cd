// `convoy manual`: the manual page, written from the tables. View it with: convoy manual | man -l -. Format: man(7).
#include <fmt/format.h>

#include <sstream>

#include "apps/command_table.h"
#include "apps/commands.h"

namespace convoy {
namespace {

// Text as it is: no hyphenation points, no requests at the beginning of a line.
std::string plain(const std::string& text) {
  std::string page;
  for (const char c : text) {
    if ((c == '.' || c == '\'') && (page.empty() || page.back() == '\n')) page += "\\&";
    if (c == '\\')
      page += "\\e";
    else if (c == '-')
      page += "\\-";
    else
      page += c;
  }
  return page;
}

// A help text: its lines that begin with two spaces are a table.
std::string paragraphs(const std::string& text) {
  std::string page;
  std::istringstream lines(text);
  bool table = false;
  for (std::string line; std::getline(lines, line);) {
    const bool row = line.starts_with("  ");
    if (row != table) page += row ? ".RS\n.nf\n" : ".fi\n.RE\n";
    table = row;
    page += line.empty() ? ".sp\n" : plain(row ? line.substr(2) : line) + "\n";
  }
  return page + (table ? ".fi\n.RE\n" : "");
}

std::string option(const CommandOption& option) {
  const OptionRow& row = find_option(option.name);
  const std::string standard = default_text(row);
  return fmt::format(".TP\n\\fB{}\\fR{}{}\n{}", plain(row.name),
                     row.value.empty() ? "" : fmt::format(" \\fI{}\\fR", plain(row.value)),
                     standard.empty() ? "" : plain(fmt::format(" [{}]", standard)), paragraphs(help_of(option)));
}

}  // namespace

int run_manual(const GivenOptions&) {
  fmt::print(".TH CONVOY 1 \"\" \"convoy {}\" \"User commands\"\n", CONVOY_VERSION);
  fmt::print(".SH NAME\nconvoy \\- trains convolutional networks on CPUs and GPUs, alone and in parallel\n");
  fmt::print(".SH SYNOPSIS\n");
  for (const Command& command : command_table())
    fmt::print(".B convoy {}\n{}.br\n", plain(command.name), command.options.empty() ? "" : "[\\fIoptions\\fR]\n");
  fmt::print(".SH COMMANDS\n");
  for (const Command& command : command_table()) {
    fmt::print(".SS convoy {}\n{}", plain(command.name), paragraphs(command.help));
    for (const CommandOption& wanted : command.options) fmt::print("{}", option(wanted));
    if (const std::string footer = command.footer(); !footer.empty()) fmt::print(".PP\n{}", paragraphs(footer));
  }
  fmt::print(".SH EXIT STATUS\n{}", paragraphs(kExitCodes));
  fmt::print(
      ".SH ENVIRONMENT\n"
      ".TP\n.B CONVOY_DATA\nwhere data sets are looked for, and downloaded to\n"
      ".TP\n.B XDG_CACHE_HOME\nwhere a cache lies, in whose folder convoy data sets are kept; without it ~/.cache\n"
      ".TP\n.B CONVOY_IMAGE_DECODER\nthe program that reads pictures, where it does not lie beside convoy\n"
      ".TP\n.B CONVOY_ISA\nthe CPU kernels to use; convoy info lists them\n"
      ".TP\n.B OMP_NUM_THREADS\nthreads that compute, where \\-\\-threads does not say\n"
      ".TP\n.B NO_COLOR\nset to anything: no colours on a terminal\n"
      ".TP\n.B COLUMNS\nthe width that help and tables are made for\n");
  return 0;
}

}  // namespace convoy
