// TensorBoard's event files, by which it draws curves: records of Event messages, one behind the other.
//
// Record: length (uint64), masked CRC-32C of the length, message, masked CRC-32C of the message, all little-endian
//   https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
// Event and Summary: the fields' numbers are those of
//   https://github.com/tensorflow/tensorboard/blob/master/tensorboard/compat/proto/event.proto and summary.proto
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace convoy {

struct EventScalar {
  std::string tag;  // "loss/train": TensorBoard groups by what stands before the slash
  float value;
};

// Records as they stand in the file. Times are seconds since 1970.
std::string event_file_head(double time);  // has to come first
std::string scalars_record(double time, int64_t step, const std::vector<EventScalar>& scalars);

// The times of all records of a file that event_file_head() and scalars_record() have made, up to one that is not
// whole.
std::vector<double> times_of_records(std::string_view file);

// "events.out.tfevents.<time>.<host>", by which TensorBoard knows them.
inline constexpr const char* kEventFilePrefix = "events.out.tfevents.";
std::string event_file_name(double time);

}  // namespace convoy
