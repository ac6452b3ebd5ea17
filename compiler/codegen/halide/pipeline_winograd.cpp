// Sums over windows of 3 × 3 as products of transformed blocks: Y = Aᵀ[(G·w·Gᵀ) ⊙ (Bᵀ·d·B)]A, for blocks of 2 × 2
// results (products at the points 0, 1, -1, ∞) or 4 × 4 (and 2, -2).
#include "compiler/codegen/halide/pipeline_loops.h"
#include "compiler/support/assert.h"

namespace dnn::codegen {

using graph::ExprKind;
using graph::Op;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

namespace {

using Values = std::vector<Expr>;

/// G: three weights → m + 2.
Values transformedWeights(int64_t outputs, const Values& w) {
  if (outputs == 2) {
    Expr outer = w[0] + w[2];
    return {w[0], 0.5f * (outer + w[1]), 0.5f * (outer - w[1]), w[2]};
  }
  Expr outer = w[0] + w[2], far = w[0] + 4.0f * w[2], twice = 2.0f * w[1];
  return {0.25f * w[0],
          (-1.0f / 6) * (outer + w[1]),
          (-1.0f / 6) * (outer - w[1]),
          (1.0f / 24) * (far + twice),
          (1.0f / 24) * (far - twice),
          w[2]};
}

/// Bᵀ: m + 2 elements → as many.
Values transformedData(int64_t outputs, const Values& d) {
  if (outputs == 2) {
    return {d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]};
  }
  Expr even = d[4] - 4.0f * d[2], odd = d[3] - 4.0f * d[1], near = d[4] - d[2], twice = 2.0f * (d[3] - d[1]);
  return {4.0f * d[0] - 5.0f * d[2] + d[4], even + odd, even - odd, near + twice, near - twice,
          4.0f * d[1] - 5.0f * d[3] + d[5]};
}

/// Aᵀ: m + 2 products → m results.
Values transformedBack(int64_t outputs, const Values& p) {
  Expr sum = p[1] + p[2], difference = p[1] - p[2];
  if (outputs == 2) {
    return {p[0] + sum, difference - p[3]};
  }
  Expr farSum = p[3] + p[4], farDifference = p[3] - p[4];
  return {p[0] + sum + farSum, difference + 2.0f * farDifference, sum + 4.0f * farSum,
          difference + 8.0f * farDifference + p[5]};
}

LoopNames loopsOf(const std::vector<Var>& vars) { return dimLoops(vars); }

} // namespace

void PipelineBuilder::defineWinograd(const Op& op, const schedule::OpSchedule& how, const std::string& name) {
  const schedule::Winograd& plan = *how.winograd;
  const schedule::Halo& halo = how.halos.at(0);
  const Func& data = stages_.at(name + "_halo0").func;
  int32_t m = static_cast<int32_t>(plan.outputs), points = m + 2;
  size_t rank = op.dims.size();
  Var column(dimLoop(rank - 1)), channel(reducedLoop(plan.channel));
  Var ty("ty"), tx("tx"), x("x"), v("v"), ky("ky"), kx("kx");
  std::vector<Var> outside; // dims of the result outside of the window, innermost first
  for (size_t d = rank - 3; d-- > 0;) {
    outside.emplace_back(dimLoop(d));
  }
  auto define = [&](const char* suffix, const std::vector<Var>& vars, const Values& value,
                    const schedule::StageSchedule& schedule) {
    Stage stage{Func(name_ + "_" + name + suffix), {loopsOf(vars)}};
    if (value.size() == 1) {
      stage.func(vars) = value[0];
    } else {
      stage.func(vars) = Halide::Tuple(value);
    }
    Func func = stage.func;
    addStage(name + suffix, std::move(stage), schedule);
    return func;
  };
  auto with = [&](std::vector<Var> first, std::initializer_list<Var> last) {
    first.insert(first.end(), outside.begin(), outside.end());
    first.insert(first.end(), last.begin(), last.end());
    return first;
  };

  // Weights: a window that runs backwards is the forward one with its places in the other order.
  Expr lastColumn = extent(op.dims.back().extent) - 1;
  auto weight = [&](int32_t u, const Expr& place) {
    std::vector<Expr> indices(rank + op.reduced.size());
    indices[rank - 1] = Halide::min(column, lastColumn);
    indices[rank + plan.channel] = channel;
    indices[rank + plan.taps[0]] = plan.backwards[0] ? 2 - u : u;
    indices[rank + plan.taps[1]] = plan.backwards[1] ? 2 - place : place;
    return lowering(op, indices).lower(plan.weights);
  };
  Values column3 = transformedWeights(m, {weight(0, v), weight(1, v), weight(2, v)});
  Func weightRows = define("_weight_rows", {column, channel, v, ky}, {Halide::mux(ky, column3)}, plan.weightRows);
  Values row3;
  for (int32_t place = 0; place < 3; ++place) {
    row3.push_back(weightRows(column, channel, place, ky));
  }
  Func weights = define("_weight_points", {column, channel, kx, ky}, {Halide::mux(kx, transformedWeights(m, row3))},
                        plan.weightPoints);

  // Data, in the coordinates of the halo: block t of results reads from first + m·t on.
  auto place = [&](const Expr& row, const Expr& col) {
    std::vector<Expr> args(halo.access->args.size());
    for (size_t s = 0; s < args.size(); ++s) {
      graph::ExprRef subscript = halo.access->args[s];
      if (s == plan.subscripts[0]) {
        args[s] = row;
      } else if (s == plan.subscripts[1]) {
        args[s] = col;
      } else if (s == plan.channelSubscript) {
        args[s] = channel;
      } else {
        args[s] = subscript->kind == ExprKind::Index ? Expr(Var(dimLoop(subscript->index)))
                                                     : lowering(op, Values(rank + op.reduced.size())).lower(subscript);
      }
    }
    return fromStorage(data(innermostFirst(args)), halo.part->dtype);
  };
  Values down, across;
  for (int32_t p = 0; p < points; ++p) {
    down.push_back(place(ty * m + p + static_cast<int32_t>(plan.first[0]), x + static_cast<int32_t>(plan.first[1])));
  }
  std::vector<Var> rowVars = with({channel, x, ty}, {ky});
  Func rows = define("_data_rows", rowVars, {Halide::mux(ky, transformedData(m, down))}, plan.dataRows);
  for (int32_t p = 0; p < points; ++p) {
    Values args(rowVars.begin(), rowVars.end());
    args[1] = tx * m + p;
    across.push_back(rows(args));
  }
  std::vector<Var> dataVars = with({channel, tx, ty}, {kx, ky});
  Func transformed = define("_data_points", dataVars, {Halide::mux(kx, transformedData(m, across))}, plan.dataPoints);

  // Products.
  RDom domain = domainOf({extent(op.reduced[plan.channel].extent)}, "r");
  std::vector<Var> productVars = with({column, tx, ty}, {kx, ky});
  Stage sum{Func(name_ + "_" + name + "_tile"), {loopsOf(productVars), loopsOf(productVars)}};
  sum.loops[1]->emplace(reducedLoop(plan.channel), domain.x);
  Values dataArgs(dataVars.begin(), dataVars.end());
  dataArgs[0] = domain.x;
  Values productArgs(productVars.begin(), productVars.end());
  sum.func(productVars) = 0.0f;
  sum.func(productVars) += weights(column, domain.x, kx, ky) * transformed(dataArgs);
  Func tile = sum.func;
  addStage(name + "_tile", std::move(sum), plan.tile);
  Func products = define("_products", productVars, {Expr(tile(productArgs))}, plan.products);

  // Back, and the block's own place in it.
  Values vertical, horizontal;
  for (int32_t p = 0; p < points; ++p) {
    Values args = productArgs;
    args.back() = p;
    vertical.push_back(products(args));
  }
  std::vector<Var> backVars = with({column, tx, ty}, {kx});
  Func back = define("_result_rows", backVars, transformedBack(m, vertical), plan.resultRows);
  std::vector<Var> vars = dimVars(rank);
  Expr row = vars[rank - 3], col = vars[rank - 2];
  for (int32_t p = 0; p < points; ++p) {
    Values args(backVars.begin(), backVars.end());
    args[1] = col / m;
    args[2] = row / m;
    args.back() = p;
    Values parts;
    for (int32_t in = 0; in < m; ++in) {
      parts.push_back(back(args)[in]);
    }
    horizontal.push_back(Halide::mux(row % m, parts));
  }
  Stage result{Func(name_ + "_" + name), {dimLoops(vars)}};
  result.func(innermostFirst(vars)) = Halide::mux(col % m, transformedBack(m, horizontal));
  addStage(name, std::move(result), how.stage);
}

} // namespace dnn::codegen
