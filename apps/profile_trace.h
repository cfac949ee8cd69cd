// A profile as a picture for ui.perfetto.dev or chrome://tracing: steps, layers and kernels over time, each in a lane of its
// own, and a lane for every thread that worked beside them.
//
// Google, "Trace Event Format", 2016.
#pragma once

#include <string>

#include "apps/profile.h"

namespace convoy {

// A JSON object.
std::string trace_of(const ProfileRecord& record);

}  // namespace convoy
