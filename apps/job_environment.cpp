#include "apps/job_environment.h"

#include <charconv>
#include <cstdlib>
#include <initializer_list>
#include <string_view>

namespace convoy {
namespace {

// The value of the first variable that is set to a whole number above 0, else `otherwise`.
int first_number(std::initializer_list<const char*> variables, int otherwise) {
  for (const char* variable : variables) {
    const char* const text = std::getenv(variable);
    if (text == nullptr) continue;
    const std::string_view digits = text;
    int number = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (number > 0) return number;
  }
  return otherwise;
}

}  // namespace

int started_ranks() { return first_number({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}, 1); }

int started_rank() { return first_number({"OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID"}, 0); }

int local_rank() { return first_number({"OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"}, 0); }

int ranks_on_this_host(int ranks) { return first_number({"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"}, ranks); }

}  // namespace convoy
