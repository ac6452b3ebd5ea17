#include "compiler/codegen/halide/fetch_for_tile.h"

#include "compiler/codegen/halide/accessed_buffers.h"
#include "compiler/codegen/halide/fetch_next_row.h"
#include "compiler/codegen/halide/spread_fetches.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

namespace dnn::codegen {

namespace {

using namespace Halide::Internal;
using Halide::Expr;

/// Of loops over stores.
constexpr int64_t mostIterations = 32;

/// The shortest steps, `distance` elements apart, that places at these distances from the first one are made of.
struct Steps {
  explicit Steps(const std::vector<int64_t>& places) : within(places) {
    for (size_t size = 1; size < places.size() && count == 1; ++size) {
      bool equal = places.size() % size == 0;
      for (size_t i = 0; equal && i + size < places.size(); ++i) {
        equal = places[i + size] - places[i] == places[size];
      }
      if (equal) {
        distance = places[size];
        count = static_cast<int64_t>(places.size() / size);
        within.resize(size);
      }
    }
  }

  int64_t distance = 0, count = 1;
  std::vector<int64_t> within; ///< of the places of one step
};

/// What is fetched before a tile is summed.
class Fetches {
public:
  Fetches(const FetchedForTile& what, const Stmt& consumer) : what_(what) {
    consumer.accept(&consumer_);
    all_ = of(consumer);
  }

  /// Undefined if there is nothing to fetch.
  const Stmt& all() const { return all_; }

  /// The same in runs of equal distances, whatever the conditions are; nothing if there are alternatives or long loops
  /// around the stores, or places that are not known from each other.
  std::vector<FetchRun> runs() const {
    std::vector<FetchRun> runs;
    for (const auto& [buffer, stored] : stores_) {
      if (!straight_ || stored.elements.empty()) {
        return {};
      }
      std::vector<int64_t> places;
      for (const Expr& element : stored.elements) {
        auto distance = as_const_int(simplify(element - stored.elements.front()));
        if (!distance) {
          return {};
        }
        places.push_back(*distance);
      }
      Steps steps(places);
      for (const Wanted& wanted : stored.wanted) {
        std::optional<FetchRun> run = runOf(wanted, stored.elements.front(), steps);
        if (!run) {
          return {};
        }
        runs.push_back(std::move(*run));
      }
    }
    return runs;
  }

private:
  /// Lines for what is stored in one place.
  struct Wanted {
    const char* how = nullptr;
    FetchedForTile::Read read;
    int64_t lines = 1;

    /// Bytes of what is read between places that are so many elements of the output apart; nothing if it is no whole
    /// number.
    std::optional<int64_t> apart(int64_t elements) const {
      int64_t bytes = elements * read.elements * read.bytes;
      return bytes % read.each == 0 ? std::optional(bytes / read.each) : std::nullopt;
    }
  };

  /// What is stored in one buffer.
  struct Stored {
    std::vector<Wanted> wanted; ///< for each element
    std::vector<Expr> elements; ///< one of each line
  };

  const FetchedForTile& what_;
  Stmt all_;
  AccessedBuffers consumer_;
  std::vector<std::pair<std::string, Expr>> lets_; ///< around this place
  std::map<std::string, Expr> last_;               ///< of each buffer, the element whose line was fetched last
  std::map<std::string, Stored> stores_;
  bool straight_ = true; ///< without long loops and alternatives
  std::string written_;  ///< the one of the output's buffers that stores go to first

  /// The loops, conditions and names around stores, with fetches in the place of a store.
  Stmt of(const Stmt& s) {
    if (const auto* block = s.as<Block>()) {
      Stmt first = of(block->first), rest = of(block->rest);
      return first.defined() && rest.defined() ? Block::make(first, rest) : first.defined() ? first : rest;
    }
    if (const auto* produced = s.as<ProducerConsumer>()) {
      return of(produced->body);
    }
    if (const auto* let = s.as<LetStmt>()) {
      lets_.emplace_back(let->name, let->value);
      Stmt body = of(let->body);
      lets_.pop_back();
      return body.defined() && stmt_uses_var(body, let->name) ? LetStmt::make(let->name, let->value, body) : body;
    }
    if (const auto* test = s.as<IfThenElse>()) {
      Stmt then = of(test->then_case), otherwise = test->else_case.defined() ? of(test->else_case) : Stmt();
      straight_ &= !otherwise.defined();
      if (!then.defined()) {
        return otherwise.defined() ? IfThenElse::make(!test->condition, otherwise) : otherwise;
      }
      return IfThenElse::make(test->condition, then, otherwise);
    }
    if (const auto* loop = s.as<For>()) {
      std::map<std::string, Stored> outside = std::exchange(stores_, {});
      last_.clear();
      Stmt body = loop->for_type == ForType::Serial ? of(loop->body) : Stmt();
      last_.clear();
      writeOut(*loop);
      for (auto& [buffer, stored] : stores_) {
        Stored& all = outside[buffer];
        all.wanted = stored.wanted;
        all.elements.insert(all.elements.end(), stored.elements.begin(), stored.elements.end());
      }
      stores_ = std::move(outside);
      return body.defined() ? For::make(loop->name, loop->min, loop->extent, loop->for_type, loop->partition_policy,
                                        loop->device_api, body)
                            : body;
    }
    const auto* store = s.as<Store>();
    return store != nullptr ? fetch(*store) : Stmt();
  }

  /// Of the stores in a loop, those of every iteration.
  void writeOut(const For& loop) {
    auto extent = as_const_int(loop.extent);
    straight_ &= stores_.empty() || (extent && *extent <= mostIterations);
    for (auto& [buffer, stored] : stores_) {
      std::vector<Expr> elements;
      for (int64_t i = 0; straight_ && i < *extent; ++i) {
        for (const Expr& element : stored.elements) {
          elements.push_back(simplify(substitute(loop.name, loop.min + static_cast<int32_t>(i), element)));
        }
      }
      stored.elements = std::move(elements);
    }
  }

  /// Nothing if some distance is no whole number of bytes.
  static std::optional<FetchRun> runOf(const Wanted& wanted, const Expr& element, const Steps& steps) {
    const FetchedForTile::Read& read = wanted.read;
    Expr place = Halide::cast<int64_t>(element) * Expr(read.elements) / Expr(read.each) + Expr(read.ahead);
    FetchRun run{wanted.how, read.buffer, place * Expr(read.bytes), 0, steps.count, {}};
    for (int64_t at : steps.within) {
      std::optional<int64_t> bytes = wanted.apart(at);
      for (int64_t line = 0; bytes && line < wanted.lines; ++line) {
        run.within.push_back(*bytes + line * bytesOfLine);
      }
    }
    std::optional<int64_t> distance = wanted.apart(steps.distance);
    if (!distance || run.within.size() < steps.within.size()) {
      return std::nullopt;
    }
    int64_t inLine = *distance > 0 ? std::max<int64_t>(1, bytesOfLine / *distance) : 1; // steps
    run.distance = *distance * inLine;
    run.count = (run.count + inLine - 1) / inLine;
    joinSteps(run);
    return run;
  }

  /// Steps whose lines follow each other without gaps become steps of one line.
  static void joinSteps(FetchRun& run) {
    auto lines = static_cast<int64_t>(run.within.size());
    for (int64_t line = 0; line < lines; ++line) {
      if (run.within[static_cast<size_t>(line)] != line * bytesOfLine) {
        return;
      }
    }
    if (run.distance == lines * bytesOfLine) {
      run.within.resize(1);
      run.distance = bytesOfLine;
      run.count *= lines;
    }
  }

  Stmt fetch(const Store& store) {
    int64_t bytes = store.value.type().bytes();
    std::vector<Wanted> wanted = fetchesFor(store.name, bytes);
    if (wanted.empty()) {
      return {};
    }
    const auto* ramp = store.index.as<Ramp>();
    Expr element = ramp != nullptr ? ramp->base : store.index;
    Expr written = element;
    for (size_t i = lets_.size(); i-- > 0;) {
      written = substitute(lets_[i].first, lets_[i].second, written);
    }
    if (auto known = last_.find(store.name); known != last_.end()) {
      auto distance = as_const_int(simplify(written - known->second));
      if (distance && *distance >= 0 && *distance * bytes < bytesOfLine) {
        return {};
      }
    }
    last_[store.name] = written;
    std::vector<Stmt> stmts;
    for (const Wanted& each : wanted) {
      appendFetches(*runOf(each, element, Steps({0})), 0, stmts);
    }
    Stored& stored = stores_[store.name];
    stored.wanted = std::move(wanted);
    stored.elements.push_back(written);
    return Block::make(stmts);
  }

  /// For one element of a buffer, of so many bytes.
  std::vector<Wanted> fetchesFor(const std::string& buffer, int64_t bytes) {
    std::vector<Wanted> wanted;
    if ((what_.overwritten && consumer_.loaded.contains(buffer)) || (what_.written && isOfOutput(buffer))) {
      wanted.push_back({.how = fetchToWrite, .read = {buffer, 1, 1, 0, bytes}});
    }
    for (const FetchedForTile::Read& read : isOutput(buffer) ? what_.reads : std::vector<FetchedForTile::Read>{}) {
      int64_t all = bytesOfLine / bytes * read.elements * read.bytes, line = bytesOfLine * read.each;
      wanted.push_back(
          {.how = read.soon ? fetchToReadSoon : fetchToRead, .read = read, .lines = (all + line - 1) / line});
    }
    return wanted;
  }

  /// Whether it is the output's buffer, or the first of several, which are written at the same places.
  bool isOutput(const std::string& buffer) {
    if (what_.reads.empty()) {
      return false;
    }
    if (written_.empty() && isOfOutput(buffer)) {
      written_ = buffer;
    }
    return buffer == written_;
  }

  bool isOfOutput(const std::string& buffer) const {
    return buffer == what_.output || buffer.starts_with(what_.output + ".");
  }
};

} // namespace

std::vector<FetchRun> FetchForTile::nextBlock(const FetchedForTile& tile) const {
  Expr number = Halide::Internal::make_zero(Halide::Int(64)); // of the tile
  for (const For* loop : loops_) {
    auto extent = as_const_int(loop->extent);
    if (!loop->name.starts_with(tile.nest + ".")) {
      continue;
    }
    if (!extent) {
      return {};
    }
    number = number * Expr(*extent) + Halide::cast<int64_t>(Variable::make(Halide::Int(32), loop->name) - loop->min);
  }
  std::vector<FetchRun> runs;
  for (const auto& [buffer, bytes] : tile.blocks) {
    Expr first = (number + Expr(tile.tiles)) * Expr(bytes) / Expr(tile.tiles);
    int64_t lines = (bytes / tile.tiles + bytesOfLine - 1) / bytesOfLine;
    runs.push_back({fetchToRead, buffer, simplify(first), bytesOfLine, lines});
  }
  return runs;
}

Stmt FetchForTile::visit(const For* op) {
  loops_.push_back(op);
  Stmt result = IRMutator::visit(op);
  loops_.pop_back();
  return result;
}

Stmt FetchForTile::visit(const Block* op) {
  const auto* test = op->first.as<IfThenElse>(); // whether its consumer is: beside other outputs
  const auto* producer = (test != nullptr ? test->then_case : op->first).as<ProducerConsumer>();
  if (producer == nullptr || !producer->is_producer || !tiles_.contains(producer->name)) {
    return IRMutator::visit(op);
  }
  const FetchedForTile& tile = tiles_.at(producer->name);
  Fetches fetches(tile, op->rest);
  std::vector<FetchRun> runs = fetches.runs();
  std::ranges::copy(nextBlock(tile), std::back_inserter(runs));
  if (!runs.empty()) {
    return Block::make(spreadFetches(runs, op->first), op->rest);
  }
  return fetches.all().defined() ? Block::make({fetches.all(), op->first, op->rest}) : IRMutator::visit(op);
}

} // namespace dnn::codegen
