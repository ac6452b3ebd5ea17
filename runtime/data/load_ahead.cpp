#include "runtime/data/load_ahead.h"

#include <algorithm>
#include <new>
#include <system_error>

namespace dnn::runtime {

namespace {

const plan::Source* findSource(const plan::Plan& plan, const std::string& name) {
  auto found = std::ranges::find(plan.sources, name, &plan::Source::name);
  return found == plan.sources.end() ? nullptr : &*found;
}

bool isReadAhead(const plan::Source* source) {
  return source != nullptr && !source->paths.empty() && source->kind != plan::Source::Kind::Images;
}

} // namespace

LoadAhead::LoadAhead(plan::Plan plan, DataOverrides overrides, uint64_t memory, std::vector<std::string> sources)
    : plan_(std::move(plan)), overrides_(std::move(overrides)), memory_(memory), waiting_(std::move(sources)) {
  std::erase_if(waiting_, [&](const std::string& name) { return !isReadAhead(findSource(plan_, name)); });
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error&) {
    waiting_.clear(); // no thread can be had
  }
}

LoadAhead::~LoadAhead() {
  stop_ = true;
  if (thread_.joinable()) {
    thread_.join();
  }
}

void LoadAhead::run() {
  std::unique_lock lock(mutex_);
  while (!waiting_.empty() && !stop_) {
    std::string name = waiting_.front();
    lock.unlock();
    const plan::Source& source = *findSource(plan_, name);
    auto data = std::make_unique<Dataset>();
    bool read = false;
    try {
      read = readExamples(source, pathsOf(plan_, source, overrides_), memory_, *data).ok();
    } catch (const std::bad_alloc&) { // said by who needs it
    }
    lock.lock();
    if (read) {
      memory_ -= std::min(memory_, heldBytes(data->fields));
      examples_[name] = std::move(data);
    }
    std::erase(waiting_, name);
    changed_.notify_all();
  }
  waiting_.clear();
  changed_.notify_all();
}

std::unique_ptr<Dataset> LoadAhead::take(const std::string& source) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return std::ranges::find(waiting_, source) == waiting_.end(); });
  auto found = examples_.find(source);
  if (found == examples_.end()) {
    return nullptr;
  }
  std::unique_ptr<Dataset> data = std::move(found->second);
  examples_.erase(found);
  return data;
}

} // namespace dnn::runtime
