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

/// The transform of a factor of the sum of products: four elements → six.
Values transformedFactor(const Values& f) {
  Expr even = f[0] + f[2], odd = f[1] + f[3], farEven = f[0] + 4.0f * f[2], farOdd = 2.0f * f[1] + 8.0f * f[3];
  return {0.25f * f[0],
          (-1.0f / 6) * (even + odd),
          (-1.0f / 6) * (even - odd),
          (1.0f / 24) * (farEven + farOdd),
          (1.0f / 24) * (farEven - farOdd),
          f[3]};
}

/// Six sums of products → three results.
Values transformedSums(const Values& p) {
  Expr sum = p[1] + p[2], farSum = p[3] + p[4];
  return {p[0] + sum + farSum, p[1] - p[2] + 2.0f * (p[3] - p[4]), sum + 4.0f * farSum + p[5]};
}

} // namespace

Func PipelineBuilder::definePure(const std::string& name, const std::vector<Var>& vars, const std::vector<Expr>& values,
                                 const schedule::StageSchedule& schedule) {
  Stage stage{named(name), {dimLoops(vars)}};
  if (values.size() == 1) {
    stage.func(vars) = values[0];
  } else {
    stage.func(vars) = Halide::Tuple(values);
  }
  Func func = stage.func;
  addStage(name, std::move(stage), schedule);
  return func;
}

Func PipelineBuilder::defineWinogradData(const Op& op, const schedule::OpSchedule& how, const std::string& name,
                                         const schedule::WinogradData& plan, int64_t step, const Var& channel,
                                         const std::vector<Var>& outside, const std::function<Var(uint32_t)>& varOf) {
  const schedule::Halo& halo = how.halos.at(0);
  const Func& data = stages_.at(name + "_halo0").func;
  int32_t m = static_cast<int32_t>(step), points = m + 2;
  Var ty("ty"), tx("tx"), x("x"), ky("ky"), kx("kx");
  // In the coordinates of the halo.
  auto place = [&](const Expr& row, const Expr& col) {
    Values args(halo.access->args.size());
    for (size_t s = 0; s < args.size(); ++s) {
      graph::ExprRef subscript = halo.access->args[s];
      if (s == plan.subscripts[0]) {
        args[s] = row;
      } else if (s == plan.subscripts[1]) {
        args[s] = col;
      } else if (s == plan.channelSubscript) {
        args[s] = channel;
      } else {
        args[s] = subscript->kind == ExprKind::Index
                      ? Expr(varOf(subscript->index))
                      : lowering(op, Values(op.dims.size() + op.reduced.size())).lower(subscript);
      }
    }
    return fromStorage(data(innermostFirst(args)), halo.part->dtype);
  };
  auto with = [&](std::vector<Var> first, std::initializer_list<Var> last) {
    first.insert(first.end(), outside.begin(), outside.end());
    first.insert(first.end(), last.begin(), last.end());
    return first;
  };
  Values down, across;
  for (int32_t p = 0; p < points; ++p) {
    down.push_back(place(ty * m + p + static_cast<int32_t>(plan.first[0]), x + static_cast<int32_t>(plan.first[1])));
  }
  std::vector<Var> rowVars = with({channel, x, ty}, {ky});
  Func rows = definePure(name + "_data_rows", rowVars, {Halide::mux(ky, transformedData(step, down))}, plan.rows);
  for (int32_t p = 0; p < points; ++p) {
    Values args(rowVars.begin(), rowVars.end());
    args[1] = tx * m + p;
    across.push_back(rows(args));
  }
  return definePure(name + "_data_points", with({channel, tx, ty}, {kx, ky}),
                    {Halide::mux(kx, transformedData(step, across))}, plan.points);
}

void PipelineBuilder::defineWinograd(const Op& op, const schedule::OpSchedule& how, const std::string& name) {
  const schedule::Winograd& plan = *how.winograd;
  int32_t m = static_cast<int32_t>(plan.outputs), points = m + 2;
  size_t rank = op.dims.size();
  Var column(dimLoop(rank - 1)), channel(reducedLoop(plan.channel));
  Var ty("ty"), tx("tx"), v("v"), ky("ky"), kx("kx");
  std::vector<Var> outside; // dims of the result outside of the window, innermost first
  for (size_t d = rank - 3; d-- > 0;) {
    outside.emplace_back(dimLoop(d));
  }
  auto define = [&](const char* suffix, const std::vector<Var>& vars, const Values& value,
                    const schedule::StageSchedule& schedule) {
    return definePure(name + suffix, vars, value, schedule);
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

  std::vector<Var> dataVars = with({channel, tx, ty}, {kx, ky});
  Func transformed = defineWinogradData(op, how, name, plan.data, plan.outputs, channel, outside,
                                        [](uint32_t index) { return Var(dimLoop(index)); });

  // Products.
  RDom domain = domainOf({extent(op.reduced[plan.channel].extent)}, "r");
  std::vector<Var> productVars = with({column, tx, ty}, {kx, ky});
  Stage sum{named(name + "_tile"), {dimLoops(productVars), dimLoops(productVars)}};
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
  Stage result{named(name), {dimLoops(vars)}};
  result.func(innermostFirst(vars)) = Halide::mux(col % m, transformedBack(m, horizontal));
  addStage(name, std::move(result), how.stage);
}

void PipelineBuilder::defineWinogradSums(const Op& op, const schedule::OpSchedule& how, const std::string& name) {
  const schedule::WinogradSums& plan = *how.winogradSums;
  constexpr int32_t step = 4, points = 6;
  int32_t rowsTogether = static_cast<int32_t>(plan.rows), itemsTogether = static_cast<int32_t>(plan.items);
  Var column(dimLoop(3)), channel(dimLoop(2));
  Var n("n"), ty("ty"), tx("tx"), x("x"), ky("ky"), kx("kx");
  Func data = defineWinogradData(op, how, name, plan.data, step, channel, {n}, [&](uint32_t) { return n; });

  // The factor, zero where there is no place or item.
  auto factor = [&](const Expr& row) {
    Expr items = extent(op.reduced[0].extent), height = extent(op.reduced[1].extent),
         width = extent(op.reduced[2].extent);
    std::vector<Expr> indices(op.dims.size() + op.reduced.size());
    indices[3] = Halide::min(column, extent(op.dims[3].extent) - 1);
    indices[4] = Halide::clamp(n, 0, items - 1);
    indices[5] = Halide::clamp(row, 0, height - 1);
    indices[6] = Halide::clamp(x, 0, width - 1);
    return Halide::select(n < items && row < height && x < width, lowering(op, indices).lower(plan.factor), 0.0f);
  };
  Values factorRows =
      transformedFactor({factor(ty * step), factor(ty * step + 1), factor(ty * step + 2), factor(ty * step + 3)});
  Func rows = definePure(name + "_factor_rows", {column, x, ty, n, ky}, {Halide::mux(ky, factorRows)}, plan.factorRows);
  Values across;
  for (int32_t p = 0; p < step; ++p) {
    across.push_back(rows(column, tx * step + p, ty, n, ky));
  }
  Func factors = definePure(name + "_factor_points", {column, tx, ty, n, kx, ky},
                            {Halide::mux(kx, transformedFactor(across))}, plan.factorPoints);

  // The sum over a group of blocks, then over the groups of a piece.
  Var qy("qy"), qn("qn"), s("s");
  Expr down = (extent(op.reduced[1].extent) + step - 1) / step;
  RDom blocks = domainOf({(extent(op.reduced[2].extent) + step - 1) / step, rowsTogether, itemsTogether}, "r");
  std::vector<Var> tileVars = {column, channel, kx, ky, qy, qn, s};
  Stage sum{named(name + "_tile"), {dimLoops(tileVars), dimLoops(tileVars)}};
  sum.loops[1]->emplace("rx", blocks[0]);
  sum.loops[1]->emplace("ry", blocks[1]);
  sum.loops[1]->emplace("rn", blocks[2]);
  Expr row = qy * rowsTogether + blocks[1];
  Expr item = (s * static_cast<int32_t>(plan.pieceLength) + qn) * itemsTogether + blocks[2];
  sum.func(tileVars) = 0.0f;
  sum.func(tileVars) += data(channel, blocks[0], row, item, kx, ky) * factors(column, blocks[0], row, item, kx, ky);
  Func tile = sum.func;
  addStage(name + "_tile", std::move(sum), plan.tile);

  Expr groups = Halide::Internal::simplify((down + rowsTogether - 1) / rowsTogether);
  RDom q = domainOf({groups, static_cast<int32_t>(plan.pieceLength)}, "q");
  q.where((s * static_cast<int32_t>(plan.pieceLength) + q[1]) * itemsTogether < extent(op.reduced[0].extent));
  std::vector<Var> pieceVars = {column, channel, kx, ky, s};
  Stage partial{named(name + "_pieces"), {dimLoops(pieceVars), dimLoops(pieceVars)}};
  partial.loops[1]->emplace("qy", q[0]);
  partial.loops[1]->emplace("qn", q[1]);
  partial.func(pieceVars) = 0.0f;
  partial.func(pieceVars) += mentioning(q, tile(column, channel, kx, ky, q[0], q[1], s));
  partial.func.bound(column, 0, static_cast<int32_t>(plan.columns))
      .bound(channel, 0, static_cast<int32_t>(plan.channels))
      .bound(kx, 0, points)
      .bound(ky, 0, points)
      .bound(s, 0, static_cast<int32_t>(plan.pieces));
  Values parts;
  for (int32_t piece = 0; piece < plan.pieces; ++piece) {
    parts.push_back(partial.func(column, channel, kx, ky, piece));
  }
  addStage(name + "_pieces", std::move(partial), plan.partial);
  while (parts.size() > 1) { // a balanced tree
    Values sums;
    for (size_t i = 0; i < parts.size(); i += 2) {
      sums.push_back(i + 1 < parts.size() ? parts[i] + parts[i + 1] : parts[i]);
    }
    parts = std::move(sums);
  }
  Func sums = definePure(name + "_sums", {column, channel, kx, ky}, {parts[0]}, plan.sums);

  // Back.
  Values vertical, horizontal;
  for (int32_t p = 0; p < points; ++p) {
    vertical.push_back(sums(column, channel, kx, p));
  }
  Func back = definePure(name + "_result_rows", {column, channel, kx}, transformedSums(vertical), plan.resultRows);
  std::vector<Var> vars = dimVars(4);
  for (int32_t p = 0; p < points; ++p) {
    horizontal.push_back(Halide::mux(
        vars[0], Values{back(column, channel, p)[0], back(column, channel, p)[1], back(column, channel, p)[2]}));
  }
  Stage result{named(name), {dimLoops(vars)}};
  result.func(innermostFirst(vars)) = Halide::mux(vars[1], transformedSums(horizontal));
  addStage(name, std::move(result), how.stage);
}

} // namespace dnn::codegen
