// What main() is in the programs of this folder: the command line is parsed, the work done, and an error becomes a line and the exit code that
// `convoy` has for it (tensor/error.h).
//
//   CLI::App app("Measures the machine's limits.");
//   app.add_option("--threads", threads, "OpenMP threads")->capture_default_str()->check(convoy::kThreads);
//   return convoy::run_program(app, argc, argv, [&] { … });
#pragma once

#include <cerrno>

#include <CLI/CLI.hpp>
#include <exception>
#include <functional>
#include <iostream>
#include <string>

#include "tensor/error.h"

namespace convoy {

inline const CLI::Range kThreads(1, 1024);
inline const CLI::Range kCount(1, 1'000'000);  // of images, rounds, and the like

// Seconds of measurement.
inline const CLI::Validator kSeconds(
    [](const std::string& text) {
      double seconds = 0;
      const bool valid = CLI::detail::lexical_cast(text, seconds) && seconds > 0 && seconds <= 3600;
      return valid ? std::string() : "'" + text + "' is not a number above 0, of at most 3600";
    },
    "SECONDS");

inline int run_program(CLI::App& app, int argc, char** argv, const std::function<void()>& work) {
  const auto report = [](ErrorKind kind, const std::string& message) {
    std::cerr << program_invocation_short_name << ": " << message << '\n';
    return static_cast<int>(kind);
  };
  try {
    app.parse(argc, argv);
    work();
    return 0;
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    return report(ErrorKind::usage, error.what());
  } catch (const Error& error) {
    return report(error.kind(), error.what());
  } catch (const std::exception& error) {
    return report(ErrorKind::internal, error.what());
  }
}

}  // namespace convoy
