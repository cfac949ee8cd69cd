#include "tests/cuda_emulation/memory.h"

#include <fmt/format.h>

#include <map>
#include <mutex>
#include <new>

#include "tests/cuda_emulation/environment.h"
#include "tests/cuda_emulation/guard_zone.h"

namespace convoy::emulation {
namespace {

constexpr std::align_val_t kAlignment{256};
static_assert(kGuardZoneBytes % static_cast<size_t>(kAlignment) == 0);

struct Registry {
  std::mutex mutex;
  std::map<const unsigned char*, Allocation> allocations;  // by their first byte
  std::map<int, size_t> bytes_in_use;                      // by owner
};

// Never destroyed: streams and pools that end with the process may come later.
Registry& registry() {
  static Registry* const only = new Registry;
  return *only;
}

void free_block(Registry& all, const Allocation& allocation) {
  unsigned char* const block = allocation.begin - kGuardZoneBytes;
  allow_access(block, allocation.bytes + 2 * kGuardZoneBytes);
  operator delete(block, kAlignment);
  all.bytes_in_use[allocation.owner] -= allocation.bytes;
}

}  // namespace

bool Allocation::contains(const void* pointer, size_t count) const {
  const auto* const first = static_cast<const unsigned char*>(pointer);
  return first >= begin && first <= begin + bytes && count <= static_cast<size_t>(begin + bytes - first);
}

size_t bytes_of_each_device() { return number_from_environment("CONVOY_EMULATED_MEMORY", size_t{8} << 30); }

void* allocate(int owner, size_t bytes) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  size_t& used = all.bytes_in_use[owner];
  if (owner != kPinnedHost && (bytes > bytes_of_each_device() || used > bytes_of_each_device() - bytes)) return nullptr;
  void* const block = operator new(bytes + 2 * kGuardZoneBytes, kAlignment, std::nothrow);
  if (block == nullptr) return nullptr;
  used += bytes;
  unsigned char* const begin = static_cast<unsigned char*>(block) + kGuardZoneBytes;
  std::memset(begin, 0xFF, bytes);
  make_guard_zone(begin - kGuardZoneBytes);
  make_guard_zone(begin + bytes);
  all.allocations[begin] = {begin, bytes, owner};
  return begin;
}

bool release(int owner, void* pointer) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  const auto found = all.allocations.find(static_cast<unsigned char*>(pointer));
  if (found == all.allocations.end() || found->second.owner != owner) return false;
  free_block(all, found->second);
  all.allocations.erase(found);
  return true;
}

void release_all(int owner) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  std::erase_if(all.allocations, [&](const auto& entry) {
    if (entry.second.owner != owner) return false;
    free_block(all, entry.second);
    return true;
  });
}

std::optional<Allocation> find_allocation(const void* pointer) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  auto next = all.allocations.upper_bound(static_cast<const unsigned char*>(pointer));
  if (next == all.allocations.begin()) return {};
  const Allocation& candidate = std::prev(next)->second;
  if (!candidate.contains(pointer, 0)) return {};
  return candidate;
}

size_t bytes_in_use(int owner) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  return all.bytes_in_use[owner];
}

std::string find_damage(int owner) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  for (const auto& [begin, allocation] : all.allocations) {
    if (allocation.owner != owner) continue;
    unsigned char* const zones[] = {allocation.begin - kGuardZoneBytes, allocation.begin + allocation.bytes};
    for (unsigned char* const zone : zones) {
      if (guard_zone_intact(zone)) continue;
      make_guard_zone(zone);
      return fmt::format("wrote {} {} bytes of device memory", zone == zones[0] ? "before" : "past the end of",
                         allocation.bytes);
    }
  }
  return "";
}

}  // namespace convoy::emulation
