// Checkpoints, and files with parts of the parameters.
#include "runtime/checkpoint/checkpoint.h"
#include "runtime/support/file.h"
#include "runtime/train/trainer.h"

namespace dnn::runtime {

/// The checkpoint, if it is due after so many steps or epochs.
Status Trainer::saveDue(uint64_t count, bool steps) {
  if (checkpoint_.empty() || plan_.checkpoint.path.empty() || !isDue(plan_.checkpoint.every, count, steps)) {
    return success();
  }
  Status status = save(checkpoint_);
  saved_ = status.ok();
  return status;
}

Status Trainer::save(const std::string& path) {
  if (Status status = saveCheckpoint(path, plan_, machine_.persistents(), state_); !status.ok()) {
    return status;
  }
  if (events_.isOpen()) {
    events_.begin("checkpoint");
    logPhase();
    events_.field("epoch", state_.epoch);
    events_.field("step", state_.step);
    events_.field("path", path);
    events_.end();
  }
  return success();
}

std::string Trainer::partPath(const plan::PartRule& rule) const {
  return plan::variantPath(plan_, resolvePath(plan_.directory, rule.path));
}

Status Trainer::saveParts(uint64_t count, bool steps) {
  for (const plan::PartRule& rule : plan_.parts) {
    if (isDue(rule.every, count, steps)) {
      if (Status status = savePart(partPath(rule), plan_, machine_.persistents(), rule.part); !status.ok()) {
        return status;
      }
    }
  }
  return success();
}

Status Trainer::saveAllParts() {
  for (const plan::PartRule& rule : plan_.parts) {
    if (Status status = savePart(partPath(rule), plan_, machine_.persistents(), rule.part); !status.ok()) {
      return status;
    }
  }
  return success();
}

Status Trainer::saveBeforeEnd() {
  if (checkpoint_.empty() || saved_) {
    return success();
  }
  Status status = save(checkpoint_);
  saved_ = status.ok();
  return status;
}

} // namespace dnn::runtime
