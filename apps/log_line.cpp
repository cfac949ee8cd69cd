#include "apps/log_line.h"

#include <nlohmann/json.hpp>

#include "apps/json_count.h"
#include "tensor/error.h"

namespace convoy {
namespace {

using Json = nlohmann::json;

// Members "test_loss" and "test_accuracy", or the same of "validation".
Evaluation evaluation_in(const Json& event, const std::string& evaluated) {
  return {.loss = event.at(evaluated + "_loss"), .accuracy = event.at(evaluated + "_accuracy")};
}

std::string evaluated_in(const Json& event) { return event.contains("test_loss") ? "test" : "validation"; }

LoggedEpoch epoch_in(const Json& event) {
  LoggedEpoch epoch{.epoch = whole(event.at("epoch")),
                    .step = whole(event.at("step")),
                    .lr = {},
                    .train_loss = event.at("train_loss"),
                    .train_accuracy = event.at("train_accuracy"),
                    .evaluated = evaluated_in(event),
                    .evaluation = evaluation_in(event, evaluated_in(event)),
                    .seconds = event.at("seconds"),
                    .times = {}};
  if (event.contains("lr")) epoch.lr = event.at("lr").get<double>();
  if (event.contains("compute_seconds"))
    epoch.times = StepTimes{.copy = event.at("copy_seconds"),
                            .compute = event.at("compute_seconds"),
                            .exchange = event.at("exchange_seconds"),
                            .reduce = event.at("reduce_seconds"),
                            .communicate = event.at("communicate_seconds"),
                            .update = event.at("update_seconds")};
  return epoch;
}

LogLine line_in(const Json& event) {
  const std::string kind = event.at("event");
  if (kind == "step")
    return LoggedStep{.step = whole(event.at("step")),
                      .epoch = whole(event.at("epoch")),
                      .loss = event.at("loss"),
                      .lr = event.at("lr")};
  if (kind == "epoch") return epoch_in(event);
  LoggedEnd end;
  if (kind == "failed") {
    end.kind = LoggedEnd::Kind::failed;
    end.message = event.at("message");
    return end;
  }
  if (kind != "summary" && kind != "interrupted") return {};
  end.kind = kind == "summary" ? LoggedEnd::Kind::summary : LoggedEnd::Kind::interrupted;
  end.seconds = event.at("seconds");
  end.samples_per_second = event.at("samples_per_second");
  if (kind == "interrupted") end.step = whole(event.at("step"));
  if (kind == "summary") end.evaluation = evaluation_in(event, evaluated_in(event));
  return end;
}

}  // namespace

LogLine parse_log_line(const std::string& line, const std::string& where) {
  try {
    return line_in(Json::parse(line));
  } catch (const Json::parse_error&) {
    fail(ErrorKind::data, "{}: is not a JSON object", where);
  } catch (const Json::exception& error) {
    // "[json.exception.out_of_range.403] key 'lr' not found": what stands behind the bracket is meant for people.
    const std::string text = error.what();
    fail(ErrorKind::data, "{}: is not what convoy train writes: {}", where,
         printable(text.substr(text.find("] ") + 2)));
  }
}

bool tells_of_step(const std::string& line) { return line.starts_with(R"({"event":"step")"); }

}  // namespace convoy
