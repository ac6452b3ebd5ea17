#include "compiler/codegen/halide/spread_fetches.h"

#include <algorithm>
#include <bit>
#include <optional>

namespace dnn::codegen {

namespace {

using namespace Halide::Internal;
using Halide::Expr;

/// Lines that are fetched one after the other.
constexpr int64_t mostTogether = 8;

bool hasLoop(const Stmt& s) {
  class Finder : public IRVisitor {
  public:
    bool found = false;

  private:
    using IRVisitor::visit;
    void visit(const For*) override { found = true; }
  } finder;
  s.accept(&finder);
  return finder.found;
}

/// Steps of a run that belong to a part of the sum.
struct Share {
  const FetchRun* run;
  Expr from;
  int64_t count;

  int64_t lines() const { return count * static_cast<int64_t>(run->within.size()); }
};

using Shares = std::vector<Share>;

int64_t linesOf(const Shares& shares) {
  int64_t lines = 0;
  for (const Share& share : shares) {
    lines += share.lines();
  }
  return lines;
}

std::vector<Stmt> fetchesOf(const Shares& shares) {
  std::vector<Stmt> stmts;
  for (const Share& share : shares) {
    for (int64_t step = 0; step < share.count; ++step) {
      appendFetches(*share.run, share.from + static_cast<int32_t>(step), stmts);
    }
  }
  return stmts;
}

Stmt fetchBefore(const Shares& shares, const Stmt& s) {
  std::vector<Stmt> stmts = fetchesOf(shares);
  stmts.push_back(s);
  return Block::make(stmts);
}

/// As few steps in each of so many parts as make all of them.
Share part(const Share& share, int64_t parts, const Expr& number) {
  int64_t each = (share.count + parts - 1) / parts;
  return {share.run, share.from + number * static_cast<int32_t>(each), each};
}

/// A loop of `steps` iterations with parts of fetches that are too many for one place and too few for every iteration:
/// before every fourth, eighth, … one. (Cut into two loops, it would count the address of each row separately, and sums
/// of columns that do not exist would not be found to be unused.)
Stmt fetchNowAndThen(const For& loop, const Stmt& body, int64_t steps, const Shares& shares) {
  int64_t most = 1;
  for (const Share& share : shares) {
    most = std::max(most, share.count);
  }
  auto each = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>((steps + most - 1) / most)));
  Expr step = Variable::make(Halide::Int(32), loop.name) - loop.min;
  Shares own;
  for (const Share& share : shares) {
    own.push_back(part(share, (steps + each - 1) / each, step / static_cast<int32_t>(each)));
  }
  Stmt fetches = IfThenElse::make(simplify(step % static_cast<int32_t>(each) == 0), Block::make(fetchesOf(own)));
  return For::make(loop.name, loop.min, loop.extent, loop.for_type, loop.partition_policy, loop.device_api,
                   Block::make(fetches, body));
}

Stmt distribute(const Stmt& s, const Shares& shares) {
  if (linesOf(shares) <= mostTogether || !hasLoop(s)) {
    return fetchBefore(shares, s);
  }
  if (const auto* let = s.as<LetStmt>()) {
    return LetStmt::make(let->name, let->value, distribute(let->body, shares));
  }
  if (const auto* produced = s.as<ProducerConsumer>()) {
    return ProducerConsumer::make(produced->name, produced->is_producer, distribute(produced->body, shares));
  }
  if (const auto* test = s.as<IfThenElse>(); test != nullptr && !test->else_case.defined()) {
    return IfThenElse::make(test->condition, distribute(test->then_case, shares));
  }
  if (s.as<Block>() != nullptr) {
    std::vector<Stmt> parts;
    Stmt rest = s;
    for (const auto* block = rest.as<Block>(); block != nullptr; block = rest.as<Block>()) {
      parts.push_back(block->first);
      rest = block->rest;
    }
    parts.push_back(rest);
    int64_t loops = std::ranges::count_if(parts, hasLoop), number = 0;
    for (Stmt& each : parts) {
      if (hasLoop(each)) {
        Shares own;
        for (const Share& share : shares) {
          own.push_back(part(share, loops, static_cast<int32_t>(number)));
        }
        each = distribute(each, own);
        ++number;
      }
    }
    return Block::make(parts);
  }
  const auto* loop = s.as<For>();
  Expr bound = loop != nullptr && loop->for_type == ForType::Serial
                   ? find_constant_bound(loop->extent, Direction::Upper)
                   : Expr();
  std::optional<int64_t> steps = bound.defined() ? as_const_int(bound) : std::nullopt;
  if (!steps || *steps < 1) {
    return fetchBefore(shares, s);
  }
  Shares before, inside;
  for (const Share& share : shares) {
    if (share.count < *steps) {
      before.push_back(share);
    } else {
      inside.push_back(part(share, *steps, Variable::make(Halide::Int(32), loop->name) - loop->min));
    }
  }
  Stmt body = inside.empty() ? loop->body : distribute(loop->body, inside);
  if (linesOf(before) > mostTogether && is_const(loop->extent)) {
    return fetchNowAndThen(*loop, body, *steps, before);
  }
  return fetchBefore(before, For::make(loop->name, loop->min, loop->extent, loop->for_type, loop->partition_policy,
                                       loop->device_api, body));
}

} // namespace

void appendFetches(const FetchRun& run, const Expr& number, std::vector<Stmt>& stmts) {
  Expr address = Variable::make(Halide::type_of<void*>(), run.buffer);
  for (int64_t within : run.within) {
    Expr offset = simplify(run.first + Halide::cast<int64_t>(number) * Expr(run.distance) + Expr(within));
    stmts.push_back(Evaluate::make(Call::make(Halide::Int(32), run.how, {address, offset}, Call::Extern)));
  }
}

Stmt spreadFetches(const std::vector<FetchRun>& runs, const Stmt& sum) {
  Shares shares;
  for (const FetchRun& run : runs) {
    shares.push_back({&run, 0, run.count});
  }
  return distribute(sum, shares);
}

} // namespace dnn::codegen
