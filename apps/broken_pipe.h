// Output into a pipe whose reader has gone, as behind `| head -1`: the usual end of a short command, but no reason to
// lose a training.
#pragma once

namespace convoy {

// From now on, in all of the process: what C's stdout and stderr write into a pipe or socket that nobody reads any more
// is dropped, where SIGPIPE would end the process; of stdout a line on stderr tells, once. All other errors of writing
// stay errors, and programs started from here get SIGPIPE as usual. To be called before other threads print.
void survive_broken_pipes();

}  // namespace convoy
