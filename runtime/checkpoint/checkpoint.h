// Checkpoint files. Little-endian; no clock, path or machine in them, so equal states make equal files.
//
//   header    "dnnckpt\n"  u32 version (3)  u64 size of the whole file in bytes
//   program   str fingerprint
//   state     u64 seed, step, step noted last, step and epoch at which the phase began, epoch, position;  u32 phase;
//             u8 ended
//             3 × (u32 count, the numbers): u64 rows, f64 log sums, f64 log weights
//             3 × (u8 found, f64 value, u64 epoch): best of the checkpoint rule, of early stopping, of the plateau rule
//   tensors   3 × (u32 count, then each: str path, u8 dtype, u32 rank, i64 dims, bytes, u32 CRC-32 of this record):
//             now; at the phase's best epoch; at the phase's start. Count 0: this copy is not needed
//   end       u32 CRC-32 of everything before it
//
// str is u32 length and the bytes; dtype codes are those of plan::DType. The tensors are those of the plan, in its
// order; values are row-major without padding.
#pragma once

#include "runtime/plan/plan.h"
#include "runtime/support/status.h"
#include "runtime/train/state.h"

#include <string>

namespace dnn::runtime {

struct CheckpointTensor {
  std::string path;
  plan::DType dtype = plan::DType::F32;
  std::vector<int64_t> dims;
  const uint8_t* values = nullptr; // inside the file's buffer
};

struct CheckpointFile {
  std::string fingerprint;
  TrainState state;
  std::vector<CheckpointTensor> tensors;
  std::vector<CheckpointTensor> best;  // all of the program's or none
  std::vector<CheckpointTensor> start; // the same
};

/// Reads and checks a file: kind, version, size, checksums, structure. Works on any bytes.
Status parseCheckpoint(const uint8_t* bytes, uint64_t size, const std::string& name, CheckpointFile& file);

/// Fails unless the file is one of this program: says which tensor differs and how.
Status checkSameProgram(const plan::Plan& plan, const CheckpointFile& file, const std::string& name);

std::vector<uint8_t> encodeCheckpoint(const plan::Plan& plan, const uint8_t* persistents, const TrainState& state);

/// Reads, checks everything, and only then fills `persistents` and `state`.
Status loadCheckpoint(const std::string& path, const plan::Plan& plan, uint8_t* persistents, TrainState& state);

/// Writes atomically: a failure leaves an older file as it was.
Status saveCheckpoint(const std::string& path, const plan::Plan& plan, const uint8_t* persistents,
                      const TrainState& state);

/// A checkpoint of the parameters and states below the path `part` alone, for `init`.
Status savePart(const std::string& path, const plan::Plan& plan, const uint8_t* persistents, const std::string& part);

} // namespace dnn::runtime
