#include "apps/job.h"

#include <fmt/format.h>
#include <zlib.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "apps/device_options.h"
#include "apps/job_environment.h"
#include "apps/options.h"
#include "parallel/agreement.h"
#include "parallel/strategy.h"
#include "tensor/cores.h"
#include "tensor/kernels.h"

namespace convoy {
namespace {

// A checksum of the program; zlib's, because a sanitized program has 200 MB.
std::string build_id() {
  std::ifstream program("/proc/self/exe", std::ios::binary);
  std::vector<char> piece(1 << 20);
  uLong sum = 0;
  while (program.read(piece.data(), static_cast<std::streamsize>(piece.size())), program.gcount() > 0)
    sum = crc32_z(sum, reinterpret_cast<const Bytef*>(piece.data()), static_cast<z_size_t>(program.gcount()));
  return fmt::format("{:08x}", sum);
}

// All that ranks must have in common: every option but those that change no result or name files.
std::vector<std::pair<std::string, std::string>> facts(const Settings& settings) {
  static const std::set<std::string> own = {"--data", "--init", "--threads", "--workers", "--log-every",
                                            "--run",  "--save", "--trace",   "--resume",  "--config"};
  std::vector<std::pair<std::string, std::string>> facts{{"build", build_id()},
                                                         {"kernels", kernels(current_stream().device).name}};
  // That there is one: ranks trace together, into rank 0's file.
  facts.emplace_back("--trace", settings.trace.empty() ? "not given" : "given");
  for (const OptionRow& row : option_table()) {
    const nlohmann::ordered_json value = row.get(settings);
    if (!own.contains(row.name)) facts.emplace_back(row.name, value.is_null() ? "not given" : value.dump());
  }
  return facts;
}

std::unique_ptr<AsyncAllReduce> open_sums(const Settings& settings, Transport& small,
                                          const std::function<std::unique_ptr<Transport>()>& open) {
  const ReduceRow& reduce = find_reduce(settings.reduce);
  const Device device = current_stream().device;
  if (device.kind == Device::Kind::cuda) return nccl::make_all_reduce(small, device.index, *reduce.between_gpus);
  return make_background_all_reduce(open(), reduce.between_cpus);
}

}  // namespace

Job::Job(const Settings& settings)
    : layout_{.ranks = settings.ranks, .replicas = settings.replicas, .shards = settings.shards} {
  if (settings.ranks == 1) return;
  if (!on_gpu(settings)) keep_to_share_of_cores(local_rank(), ranks_on_this_host(settings.ranks), settings.threads);
  if (std::optional<tcp::MeetingPoint> point = meeting_point()) {
    point->on_waiting = [](const std::string& text) { fmt::print(stderr, "convoy: {}\n", text); };
    tcp_ = std::make_unique<tcp::Session>(*point);
  } else {
    life_ = std::make_unique<SignsOfLife>(started_rank());  // also while it joins
    mpi_ = std::make_unique<mpi::Session>();
    CHECK(mpi_->size() == settings.ranks,
          "mpi: a job of {} ranks, {} expected; is this program built with the MPI whose mpirun has started it? ({})",
          mpi_->size(), settings.ranks, mpi::library());
  }
  layout_.rank = tcp_ ? tcp_->rank() : mpi_->rank();
  const auto open = [&] { return tcp_ ? tcp_->open_transport() : mpi_->open_transport(); };
  std::unique_ptr<Transport> small = open();
  std::unique_ptr<AsyncAllReduce> sums;
  try {
    sums = open_sums(settings, *small, open);
  } catch (const Error& error) {  // of this rank: the others would wait for it
    if (mpi_) end_all(static_cast<int>(error.kind()), error.what());
    small->abort();
    throw;
  }
  communicator_ = std::make_unique<Communicator>(std::move(small), std::move(sums));
}

// What a lost rank leads to may be told by several threads in several ways; this is the one that helps.
std::string Job::loss() const {
  const std::string lost = tcp_ ? tcp_->loss() : "";
  if (lost.empty()) return "";
  return lost + (last_step_ > 0 ? fmt::format("; the last step done here is {}", last_step_) : "; no step was done");
}

int Job::end_all(int exit_code, const char* message) {
  fmt::print(stderr, "convoy: rank {} on {}: {}\n", layout_.rank, host_name(), message);
  if (mpi_) mpi::Session::abort(exit_code);
  communicator_->abort();
  return exit_code;
}

int Job::run(const std::function<int()>& work) {
  if (others() == nullptr) return work();
  try {
    return work();
  } catch (const AgreedError& error) {
    if (first() || tcp_) throw;  // ranks that were started one by one may each have a terminal of their own
    return static_cast<int>(error.kind());
  } catch (const Error& error) {
    const std::string lost = error.kind() == ErrorKind::peer ? loss() : "";
    return end_all(static_cast<int>(error.kind()), lost.empty() ? error.what() : lost.c_str());
  } catch (const std::bad_alloc&) {
    return end_all(static_cast<int>(ErrorKind::device), "out of memory");
  } catch (const std::exception& error) {
    return end_all(static_cast<int>(ErrorKind::internal), error.what());
  }
}

void Job::check_same_settings(const Settings& settings) {
  if (communicator_ != nullptr) check_same(*communicator_, facts(settings));
}

void Job::note_step(int64_t step) {
  last_step_ = step;
  if (life_ != nullptr) life_->note_step(step);
}

}  // namespace convoy
