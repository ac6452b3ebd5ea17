#include "compiler/codegen/worker.h"

#include "compiler/support/object_memory.h"
#include "runtime/plan/bytes.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <malloc.h>
#include <mutex>
#include <optional>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace dnn::codegen {

namespace {

using Bytes = std::vector<uint8_t>;
using Job = std::function<Result<Bytes>(size_t)>;

/// What goes through the pipe before the bytes of a result.
struct Header {
  uint64_t job = 0;
  uint64_t size = 0;
  uint64_t failed = 0; // then the bytes are the error's message and place, as strings
};

/// Calls `each(i)` for every job on several threads until one says that it is over.
void onThreads(size_t count, int threads, const std::function<bool(size_t)>& each) {
  std::atomic<size_t> next = 0;
  auto work = [&] {
    for (size_t i; (i = next++) < count;) {
      if (!each(i)) {
        next = count;
      }
    }
  };
  std::vector<std::thread> helpers;
  for (size_t i = 1; i < std::min(static_cast<size_t>(std::max(threads, 1)), count); ++i) {
    helpers.emplace_back(work);
  }
  work();
  for (std::thread& helper : helpers) {
    helper.join();
  }
}

bool writeAll(int to, const void* data, size_t size) {
  const auto* at = static_cast<const uint8_t*>(data);
  while (size > 0) {
    ssize_t written = write(to, at, size);
    if (written < 0 && errno != EINTR) {
      return false;
    }
    if (written > 0) {
      at += written;
      size -= static_cast<size_t>(written);
    }
  }
  return true;
}

/// False at the end of the pipe.
bool readAll(int from, void* data, size_t size) {
  auto* at = static_cast<uint8_t*>(data);
  while (size > 0) {
    ssize_t got = read(from, at, size);
    if (got == 0 || (got < 0 && errno != EINTR)) {
      return false;
    }
    if (got > 0) {
      at += got;
      size -= static_cast<size_t>(got);
    }
  }
  return true;
}

Bytes encodeError(const Error& error) {
  Bytes bytes;
  runtime::ByteWriter w(bytes);
  w.string(error.message);
  w.string(error.where);
  return bytes;
}

Error decodeError(const Bytes& bytes) {
  runtime::ByteReader r(bytes.data(), bytes.size());
  std::string message = r.string();
  return {message, r.string()};
}

/// Compiling makes and drops millions of small objects. Memory that is free stays with the process, which ends soon:
/// giving it back and asking for it again took up to a tenth of the time, and malloc itself an eighth.
void keepFreeMemory() {
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 16 << 20);
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  keepObjectMemory();
}

/// The life of the worker.
void serve(int to, size_t count, const Job& job, const WorkerOptions& options) {
  std::mutex mutex;
  auto send = [&](size_t i, const Result<Bytes>& result) {
    Bytes bytes = result ? *result : encodeError(result.error());
    Header header{i, bytes.size(), result ? 0ULL : 1ULL};
    std::lock_guard lock(mutex);
    return writeAll(to, &header, sizeof header) && writeAll(to, bytes.data(), bytes.size()) && result.ok();
  };
  keepFreeMemory();
  if (Status prepared = options.prepare ? options.prepare() : success(); !prepared) {
    send(0, prepared.error());
    return;
  }
  onThreads(count, options.threads, [&](size_t i) { return send(i, job(i)); });
}

Result<std::vector<Bytes>> runHere(size_t count, const Job& job, const WorkerOptions& options) {
  if (Status prepared = options.prepare ? options.prepare() : success(); !prepared) {
    return prepared.error();
  }
  std::vector<Bytes> results(count);
  std::mutex mutex;
  std::optional<Error> failure;
  onThreads(count, options.threads, [&](size_t i) {
    Result<Bytes> result = job(i);
    std::lock_guard lock(mutex);
    if (!result && !failure) {
      failure = result.error();
    } else if (result) {
      results[i] = std::move(*result);
    }
    return !failure;
  });
  return failure ? Result<std::vector<Bytes>>(*failure) : Result<std::vector<Bytes>>(std::move(results));
}

/// Everything that the worker sends, until it is complete or the pipe ends.
Result<std::vector<Bytes>> collect(int from, size_t count) {
  std::vector<Bytes> results(count);
  for (size_t got = 0; got < count; ++got) {
    Header header;
    if (!readAll(from, &header, sizeof header) || header.job >= count) {
      return Error{"the process that compiles kernels ended too soon", ""};
    }
    Bytes bytes(header.size);
    if (!readAll(from, bytes.data(), bytes.size())) {
      return Error{"the process that compiles kernels ended too soon", ""};
    }
    if (header.failed != 0) {
      return decodeError(bytes);
    }
    results[header.job] = std::move(bytes);
  }
  return results;
}

} // namespace

Result<std::vector<Bytes>> runInWorker(size_t count, const Job& job, const WorkerOptions& options) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return runHere(count, job, options);
  }
  pid_t self = getpid();
  pid_t worker = fork();
  if (worker < 0) {
    close(ends[0]);
    close(ends[1]);
    return runHere(count, job, options);
  }
  if (worker == 0) {
    close(ends[0]);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN); // a parent that has seen an error reads no more
    if (getppid() == self) {  // else it died before the line above
      serve(ends[1], count, job, options);
    }
    _exit(0); // nothing of the parent's may be flushed or destroyed twice
  }
  close(ends[1]);
  Result<std::vector<Bytes>> results = collect(ends[0], count);
  close(ends[0]);
  if (!results) {
    kill(worker, SIGKILL); // it may be at work on other jobs
  }
  int status = 0;
  while (waitpid(worker, &status, 0) < 0 && errno == EINTR) {
  }
  if (!results && WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) {
    return Error{results.error().message + ": " + strsignal(WTERMSIG(status)), results.error().where};
  }
  return results;
}

} // namespace dnn::codegen
