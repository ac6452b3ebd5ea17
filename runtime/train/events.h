// The event log of --log: one JSON object a line.
//
//   {"event":"start","program":"digits","seed":42,"epoch":0,"step":0,"threads":2,"examples":1437}
//   {"event":"step","epoch":1,"step":1,"rows":64,"loss":2.41}
//   {"event":"log","epoch":1,"step":10,"norm":0.92}
//   {"event":"eval","epoch":1,"step":20,"te.loss":0.61}
//   {"event":"epoch","epoch":1,"step":23,"loss":1.17,"te.loss":0.52,"te.acc":0.87,"seconds":0.012}
//   {"event":"image","epoch":1,"step":23,"name":"te.samples","path":"run.te.samples.0001.png"}
//   {"event":"checkpoint","epoch":1,"step":23,"path":"digits.ckpt"}
//   {"event":"end","reason":"done","epoch":30,"step":690,"seconds":0.41,"te.acc":0.97}
//
// Epochs and steps count from 1: an epoch is the one that the event belongs to. Logs with dimensions are arrays of
// their numbers in row-major order. A program with phases adds `phase`, its name; epochs count within it. `log` is
// what logs with a rhythm of their own say, and what an epoch that training ends in had logged. Values that
// are NaN or infinite are null. `reason` is done, patience, interrupted, unreadable or diverged.
#pragma once

#include "runtime/support/status.h"
#include "runtime/train/metrics.h"

#include <cstdio>

namespace dnn::runtime {

class EventLog {
public:
  EventLog() = default;
  ~EventLog();
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  /// Starts a new file, or appends to one. Without a call the log is off.
  Status open(const std::string& path, bool append);
  bool isOpen() const { return file_ != nullptr; }

  /// One event at a time: begin, any number of fields, end.
  void begin(const char* event);
  void field(const char* key, uint64_t value);
  void field(const char* key, double value);
  void field(const char* key, const std::vector<double>& values);
  void field(const char* key, const std::string& value);
  void fields(const std::vector<Metric>& metrics);
  void end();

  /// Gives everything to the system; fails if any write failed since the last call.
  Status flush();
  const std::string& path() const { return path_; }

private:
  void key(const std::string& key);

  std::FILE* file_ = nullptr;
  std::string path_;
};

} // namespace dnn::runtime
