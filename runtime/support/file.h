// Whole files in and out. Writing is atomic: readers see the old file or the new one, whatever happens in between.
#pragma once

#include "runtime/support/status.h"

#include <cstdint>
#include <string>
#include <vector>

namespace dnn::runtime {

/// The bytes of a regular file (or pipe), at most the first `most`. Errors name the path and the reason (exit code 4).
Status readFile(const std::string& path, std::vector<uint8_t>& bytes, uint64_t most = UINT64_MAX);

/// Writes PATH.tmp, fsync, rename to PATH, fsync of the folder; where PATH is a symbolic link, at the file that it
/// leads to. On failure (full disk, no permission) the temporary file is removed and an existing PATH stays as it was.
/// Pipes and devices (/dev/stdout) are written to as they are.
Status writeFileAtomically(const std::string& path, const void* data, size_t size);

/// Fails with a sentence if a file at this path could not be created later: folder missing or not writable.
Status checkWritable(const std::string& path);

/// `path` itself if absolute, else below `directory`.
std::string resolvePath(const std::string& directory, const std::string& path);

bool fileExists(const std::string& path);

} // namespace dnn::runtime
