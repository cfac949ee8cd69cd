#include "apps/job_environment.h"

#include <charconv>
#include <cstdlib>
#include <initializer_list>
#include <string_view>

#include "tensor/error.h"

namespace convoy {
namespace {

constexpr int kMostRanks = 65536;

// The value of the first variable that is set to a whole number of at least `least`, else `otherwise`.
int first_number(std::initializer_list<const char*> variables, int least, int otherwise) {
  for (const char* variable : variables) {
    const char* const text = std::getenv(variable);
    if (text == nullptr) continue;
    const std::string_view digits = text;
    int number = -1;
    std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (number >= least) return number;
  }
  return otherwise;
}

int mpi_ranks() { return first_number({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}, 1, 1); }

// --- RANK, WORLD_SIZE and their like --------------------------------------------------------------------------------

bool is_set(const char* variable) {
  const char* const text = std::getenv(variable);
  return text != nullptr && *text != 0;
}

std::string_view value_of(const char* variable, const char* because_of) {
  CHECK(is_set(variable),
        "{}: is missing, but {} is set; set RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT for each rank", variable,
        because_of);
  return std::getenv(variable);
}

int number_of(const char* variable, const char* because_of, int least, int most) {
  const std::string_view digits = value_of(variable, because_of);
  int number = 0;
  const auto [stopped, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  CHECK(error == std::errc() && stopped == digits.data() + digits.size() && number >= least && number <= most,
        "{}: '{}' is not a whole number from {} to {}", variable, digits, least, most);
  return number;
}

struct Variables {
  tcp::MeetingPoint point{};  // of several ranks
  std::optional<int> local_rank, local_ranks;
};

// None when another kind of job has started this process, or nobody has.
std::optional<Variables> variables() {
  if (mpi_ranks() > 1 || (!is_set("RANK") && !is_set("WORLD_SIZE"))) return std::nullopt;
  Variables all;
  const int ranks = all.point.size = number_of("WORLD_SIZE", "RANK", 1, kMostRanks);
  const int rank = all.point.rank = number_of("RANK", "WORLD_SIZE", 0, kMostRanks - 1);
  CHECK(rank < ranks, "RANK: {} in a job of WORLD_SIZE {}; ranks count from 0", rank, ranks);
  if (is_set("LOCAL_WORLD_SIZE")) all.local_ranks = number_of("LOCAL_WORLD_SIZE", "WORLD_SIZE", 1, ranks);
  if (is_set("LOCAL_RANK")) all.local_rank = number_of("LOCAL_RANK", "RANK", 0, all.local_ranks.value_or(ranks) - 1);
  if (ranks == 1) return all;
  all.point.address = value_of("MASTER_ADDR", "WORLD_SIZE");
  const char* const agent = std::getenv("TORCHELASTIC_USE_AGENT_STORE");
  const int next = agent != nullptr && std::string_view(agent) == "True" ? 1 : 0;
  all.point.port = number_of("MASTER_PORT", "WORLD_SIZE", 1, 65535 - next) + next;
  return all;
}

}  // namespace

int started_ranks() {
  const std::optional<Variables> set = variables();
  return set ? set->point.size : mpi_ranks();
}

int started_rank() {
  const std::optional<Variables> set = variables();
  return set ? set->point.rank : first_number({"OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID"}, 0, 0);
}

std::string started_by() {
  if (variables()) return "WORLD_SIZE says";
  return mpi_ranks() > 1 ? "mpirun or srun has started" : "";
}

int local_rank() {
  if (const std::optional<Variables> set = variables()) return set->local_rank.value_or(set->point.rank);
  return first_number({"OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"}, 0, started_rank());
}

int ranks_on_this_host(int ranks) {
  if (const std::optional<Variables> set = variables()) return set->local_ranks.value_or(ranks);
  return first_number({"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"}, 1, ranks);
}

std::optional<tcp::MeetingPoint> meeting_point() {
  const std::optional<Variables> set = variables();
  return set && set->point.size > 1 ? std::optional(set->point) : std::nullopt;
}

}  // namespace convoy
