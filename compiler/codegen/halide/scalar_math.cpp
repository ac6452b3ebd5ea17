#include "compiler/codegen/halide/scalar_math.h"

#include "compiler/support/assert.h"

#include <initializer_list>

namespace dnn::codegen {

namespace {

using Halide::cast;
using Halide::Expr;
using Halide::reinterpret;
using Halide::select;
using Halide::Internal::Call;

// Halide may reassociate float arithmetic and assumes that there are no NaNs. Where that would change a result it must
// not change, the operation is one of the strict ones.
Expr strict(Call::IntrinsicOp op, const Expr& a, const Expr& b) {
  return Call::make(a.type(), op, {a, b}, Call::PureIntrinsic);
}
Expr strictAdd(const Expr& a, const Expr& b) { return strict(Call::strict_add, a, b); }
Expr strictSub(const Expr& a, const Expr& b) { return strict(Call::strict_sub, a, b); }
Expr strictMul(const Expr& a, const Expr& b) { return strict(Call::strict_mul, a, b); }

Expr compare(Call::IntrinsicOp op, const Expr& a, const Expr& b) {
  return Call::make(Halide::Bool(a.type().lanes()), op, {a, b}, Call::PureIntrinsic);
}

// Not `equal`: Halide has a function of that name, which compares expressions instead of values.
Expr isEqual(const Expr& a, const Expr& b) { return a.type().is_float() ? compare(Call::strict_eq, a, b) : a == b; }

Halide::Type bitsOf(const Halide::Type& type) { return Halide::Int(type.bits(), type.lanes()); }

/// By the bits: LLVM assumes that no arithmetic gives NaN, and answers the question for floats without looking.
Expr isNaN(const Expr& x) {
  Halide::Type type = bitsOf(x.type());
  bool wide = type.bits() == 64;
  Expr magnitude = reinterpret(type, x) & Halide::Internal::make_const(type, wide ? INT64_MAX : INT32_MAX);
  return magnitude > Halide::Internal::make_const(type, wide ? 0x7ff0000000000000 : 0x7f800000);
}

/// select, but as bits for the same reason: a choice between floats may become a maximum, which is another thing for
/// NaN.
Expr choose(const Expr& condition, const Expr& a, const Expr& b) {
  if (!a.type().is_float()) {
    return select(condition, a, b);
  }
  Halide::Type type = bitsOf(a.type());
  return reinterpret(a.type(), select(condition, reinterpret(type, a), reinterpret(type, b)));
}

/// Not the strict comparison: a choice by it becomes a maximum that loses a NaN.
Expr lessEqual(const Expr& a, const Expr& b) {
  if (!a.type().is_float()) {
    return a <= b;
  }
  Expr ordered = !lessThan(b, a);
  for (const Expr& x : {a, b}) {
    if (!Halide::Internal::is_const(x)) {
      ordered = ordered && !isNaN(x);
    }
  }
  return ordered;
}

Expr floatBits(int32_t bits) { return reinterpret<float>(Expr(bits)); }
Expr infinity() { return floatBits(0x7f800000); }
Expr notANumber(const Halide::Type& type) {
  bool wide = type.bits() == 64;
  return reinterpret(type, Halide::Internal::make_const(bitsOf(type), wide ? 0x7ff8000000000000 : 0x7fc00000));
}

/// c0 + c1·x + c2·x² + …
Expr polynomial(const Expr& x, std::initializer_list<float> coefficients) {
  Expr sum;
  for (auto c = std::rbegin(coefficients); c != std::rend(coefficients); ++c) {
    sum = sum.defined() ? sum * x + *c : Expr(*c);
  }
  return sum;
}

Expr libm(const char* name32, const char* name64, const std::vector<Expr>& args) {
  const char* name = args[0].type().bits() == 64 ? name64 : name32;
  return Call::make(args[0].type(), name, args, Call::PureExtern);
}

// Coefficients: minimax fits to the function named, weighted by the error that counts at the end.

/// log(1 + f) for 1/√2 ≤ 1 + f ≤ √2.
Expr logNearOne(const Expr& f) {
  Expr tail = polynomial(f, {0.333333105f, -0.249999851f, 0.200022727f, -0.166693568f, 0.142177165f, -0.123818062f,
                             0.118779145f, -0.118078589f, 0.0692586452f});
  return f + f * f * (f * tail - 0.5f);
}

/// exp(r) - 1 for |r| ≤ ln 2 / 2.
Expr expm1Reduced(const Expr& r) {
  return r +
         r * r * polynomial(r, {0.5f, 0.166666672f, 0.0416662544f, 0.00833326299f, 0.00139472249f, 0.000199193775f});
}

Expr log1p32(const Expr& x) {
  Expr near = lessThan(Halide::abs(x), 0.29f);
  Expr sum = strictAdd(x, 1.0f);
  // What the addition rounded away, to first order. It matters where 1 + x is close to 1.
  Expr lost = strictSub(x, strictSub(sum, 1.0f)) / sum;
  Expr far = log32(sum);
  Expr corrected = select(lessThan(sum, 1e8f) && lessThan(0.0f, sum), far + lost, far);
  return select(near, logNearOne(select(near, x, 0.0f)), corrected);
}

Expr expm132(const Expr& x) {
  Expr near = lessThan(Halide::abs(x), 0.34f);
  return select(near, expm1Reduced(select(near, x, 0.0f)), exp32(x) - 1.0f);
}

Expr tanh32(const Expr& x) {
  Expr size = Halide::abs(x);
  Expr square = x * x;
  Expr near = x + x * square *
                      polynomial(square, {-0.333333313f, 0.133331999f, -0.0539459921f, 0.0216960702f, -0.0081650326f,
                                          0.00213090191f});
  Expr far = 1.0f - 2.0f / (exp32(2.0f * size) + 1.0f);
  return select(lessThan(size, 0.625f), near, select(lessThan(x, 0.0f), -far, far));
}

Expr erf32(const Expr& x) {
  Expr size = Halide::abs(x);
  Expr square = x * x;
  Expr near =
      strictAdd(x, x * polynomial(square, {0.128379167f, -0.376126379f, 0.112837829f, -0.0268654451f, 0.00522107491f,
                                           -0.000848471129f, 0.000112705449f, -9.68013774e-06f}));
  Expr t = select(lessThan(4.0f, size), 4.0f, size);
  // -log(1 - erf(t)) / t
  Expr rate = polynomial(t, {1.12847126f, 0.636066079f, 0.104227953f, -0.0213161558f, 0.00184114149f, 0.000496541965f,
                             -0.000212755738f, 3.34870929e-05f, -2.0819416e-06f});
  Expr far = 1.0f - expNotPositive32(-t * rate);
  return select(lessThan(size, 1.0f), near, select(lessThan(x, 0.0f), -far, far));
}

/// ψ(x): recurrence up to x + 8, then the asymptotic series; reflection for x < 1/2. NaN at its poles 0, -1, -2, …
Expr digamma(const Expr& x) {
  Halide::Type type = x.type();
  auto number = [&](double value) { return Halide::Internal::make_const(type, value); };
  Expr reflected = lessThan(x, number(0.5));
  Expr y = select(reflected, number(1) - x, x);
  Expr shifts = number(0);
  for (int i = 0; i < 8; ++i) {
    shifts += number(1) / (y + number(i));
  }
  Expr z = y + number(8);
  Expr inverse = number(1) / z;
  Expr square = inverse * inverse;
  // Bernoulli numbers B₂ₖ / 2k
  Expr series =
      number(1.0 / 12) -
      square *
          (number(1.0 / 120) -
           square * (number(1.0 / 252) -
                     square * (number(1.0 / 240) - square * (number(1.0 / 132) - square * number(691.0 / 32760)))));
  Expr logarithm = type.bits() == 64 ? Halide::log(z) : log32(z);
  Expr value = logarithm - number(0.5) * inverse - square * series - shifts;
  // π / tan(πx), with the whole part of x taken away first
  Expr fraction = (x - Halide::floor(x)) * number(3.14159265358979323846);
  Expr cotangent = number(3.14159265358979323846) * Halide::cos(fraction) / Halide::sin(fraction);
  Expr pole = reflected && isEqual(x, Halide::floor(x));
  return select(pole, notANumber(type), select(reflected, value - cotangent, value));
}

Expr divide(const Expr& a, const Expr& b) {
  // Halide's integer division and remainder are Euclidean: floor for the positive divisors that the graph allows.
  return a / b;
}

/// x^y with the powers that optimizers and norms use as products; everything else as libm has it.
Expr power(const Expr& x, const Expr& y) {
  auto exponentIs = [&](double value) {
    auto constant = Halide::Internal::as_const_float(y);
    return constant && *constant == value;
  };
  if (exponentIs(1)) {
    return x;
  }
  if (exponentIs(2)) {
    return x * x;
  }
  if (exponentIs(3)) {
    return x * x * x;
  }
  return libm("powf", "pow", {x, y});
}

} // namespace

Expr applyToInfinite(ScalarOp op, const std::vector<Expr>& args) {
  bool add = op == ScalarOp::Add;
  bool sub = op == ScalarOp::Sub;
  bool mul = op == ScalarOp::Mul;
  if (!add && !sub && !mul && op != ScalarOp::Div) {
    return applyScalar(op, args); // looks at bits, compares strictly or calls libm
  }
  return strict(add   ? Call::strict_add
                : sub ? Call::strict_sub
                : mul ? Call::strict_mul
                      : Call::strict_div,
                args[0], args[1]);
}

Expr lessThan(const Expr& a, const Expr& b) { return a.type().is_float() ? compare(Call::strict_lt, a, b) : a < b; }

namespace {

/// b where it is the better one, a elsewhere, and where either is NaN: one instruction of x86.
Expr better(bool larger, const Expr& a, const Expr& b) {
  return choose(larger ? lessThan(a, b) : lessThan(b, a), b, a);
}

Expr betterPropagating(bool larger, const Expr& a, const Expr& b) {
  if (Halide::Internal::is_const(b)) {
    return better(larger, a, b);
  }
  if (Halide::Internal::is_const(a)) {
    return better(larger, b, a);
  }
  // A choice between b and the better one would become one choice by two conditions, with no maximum in it.
  return choose(isNaN(b), notANumber(b.type()), better(larger, a, b));
}

} // namespace

Expr maxPropagating(const Expr& a, const Expr& b) {
  return a.type().is_float() ? betterPropagating(true, a, b) : Halide::max(a, b);
}

Expr minPropagating(const Expr& a, const Expr& b) {
  return a.type().is_float() ? betterPropagating(false, a, b) : Halide::min(a, b);
}

namespace {

/// exp(x) = value · 2^k
struct ReducedExp {
  Expr value;
  Expr bits; ///< k + bias, in the lowest bits
};

ReducedExp reducedExp(const Expr& x, float bias) {
  // x = k·ln 2 + r. Added to 1.5·2²³, k ends up in the lowest bits. What is strict here must not be joined with the
  // rest; the product and the first sum may be one operation.
  const float shift = 12582912.0f + bias;
  Expr shifted = x * 1.44269504f + shift;
  Expr k = strictSub(shifted, shift);
  // ln 2 in two parts, of which the first has few enough bits for k times it to be exact
  Expr r = strictSub(x, strictMul(k, 0.693359375f)) - k * -2.12194440e-4f;
  return {polynomial(r, {1.0f, 1.0f, 0.49999994f, 0.1666652f, 0.041668404f, 0.008368899f, 0.0013814222f}),
          reinterpret<uint32_t>(shifted)};
}

Expr powerOfTwo(const Expr& biased) { return reinterpret<float>(biased << 23); }

/// Below -104 the result is 0, which the scaling at the end makes. NaN passes.
Expr aboveUnderflow(const Expr& x) { return select(lessThan(x, -104.0f), -104.0f, x); }

} // namespace

Expr exp32(const Expr& x) {
  Expr above = aboveUnderflow(x);
  // 2^k in two factors, so that results near the ends of the range neither overflow early nor lose denormals; with 254
  // more in the bits, both exponents have their bias.
  auto [value, bits] = reducedExp(select(lessThan(89.0f, above), 89.0f, above), 254.0f);
  Expr half = bits >> 1;
  return strictMul(strictMul(value, powerOfTwo(half)), powerOfTwo(bits - half));
}

Expr expNotPositive32(const Expr& x) {
  // No result is large, so 2^(k + 64) is a number for all k, and denormals are rounded once, by the product. k is added
  // to the exponent of the value, which needs no unit that multiplies; NaN leaves 0 in its bits.
  auto [value, bits] = reducedExp(aboveUnderflow(x), 64.0f);
  Expr scaled = reinterpret<uint32_t>(value) + (bits << 23);
  return strictMul(reinterpret<float>(scaled), 5.42101086e-20f);
}

Expr log32(const Expr& x) {
  Expr denormal = lessThan(x, 1.17549435e-38f);
  Expr scaled = select(denormal, x * 16777216.0f, x);
  Expr bits = reinterpret<int32_t>(scaled);
  Expr exponent = (bits - 0x3f3504f3) >> 23; // of 1/√2 ≤ mantissa < √2
  Expr mantissa = reinterpret<float>(bits - (exponent << 23));
  Expr scale = cast<float>(exponent) - select(denormal, 24.0f, 0.0f);
  Expr f = strictSub(mantissa, 1.0f); // exact; its terms must not mix with those of the series
  Expr value = strictAdd(strictMul(scale, 0.693359375f), logNearOne(f) + scale * -2.12194440e-4f);
  // The special results are chosen as bits: LLVM may take a choice between floats for one without infinities and NaNs.
  Expr special = select(isEqual(x, 0.0f), Expr(static_cast<int32_t>(0xff800000)), Expr(0x7fc00000));
  Expr finite = lessThan(0.0f, x) && lessThan(x, infinity());
  return reinterpret<float>(
      select(finite, reinterpret<int32_t>(value), select(isEqual(x, infinity()), Expr(0x7f800000), special)));
}

Expr cosTurns32(const Expr& turns) {
  // cos(2πu) = -sin(2πw) with w = 1/4 - |u - 1/2|, exact for multiples of 2⁻²⁴
  Expr w = 0.25f - Halide::abs(turns - 0.5f);
  Expr sine = w * polynomial(w * w, {6.28318548f, -41.3417015f, 81.6052246f, -76.704277f, 42.0096779f, -14.3932095f});
  return -sine;
}

Expr applyScalar(ScalarOp op, const std::vector<Expr>& args) {
  const Expr& a = args[0];
  const Expr b = args.size() > 1 ? args[1] : Expr();
  bool wide = a.type().is_float() && a.type().bits() == 64;
  switch (op) {
  case ScalarOp::Neg: return -a;
  case ScalarOp::Abs: return a.type().is_uint() ? a : cast(a.type(), Halide::abs(a));
  case ScalarOp::Exp: return wide ? libm("", "exp", args) : exp32(a);
  case ScalarOp::Log: return wide ? libm("", "log", args) : log32(a);
  case ScalarOp::Log1p: return wide ? libm("", "log1p", args) : log1p32(a);
  case ScalarOp::Expm1: return wide ? libm("", "expm1", args) : expm132(a);
  case ScalarOp::Sqrt: return Halide::sqrt(a);
  case ScalarOp::Rsqrt: return Halide::Internal::make_const(a.type(), 1) / Halide::sqrt(a);
  case ScalarOp::Sin: return libm("sinf", "sin", args);
  case ScalarOp::Cos: return libm("cosf", "cos", args);
  case ScalarOp::Tanh: return wide ? libm("", "tanh", args) : tanh32(a);
  case ScalarOp::Erf: return wide ? libm("", "erf", args) : erf32(a);
  case ScalarOp::Lgamma: return libm("lgammaf", "lgamma", args);
  case ScalarOp::Digamma: return digamma(a);
  case ScalarOp::Floor: return Halide::floor(a);
  case ScalarOp::Ceil: return Halide::ceil(a);
  case ScalarOp::Round: return Halide::round(a);
  case ScalarOp::Not: return !a;
  case ScalarOp::StopGrad: return a;
  case ScalarOp::Add: return a + b;
  case ScalarOp::Sub: return a - b;
  case ScalarOp::Mul: return a * b;
  case ScalarOp::Div: return divide(a, b);
  case ScalarOp::Mod: return a % b;
  case ScalarOp::Pow: return power(a, b);
  case ScalarOp::Min: return minPropagating(a, b);
  case ScalarOp::Max: return maxPropagating(a, b);
  case ScalarOp::Lt: return lessThan(a, b);
  case ScalarOp::Le: return lessEqual(a, b);
  case ScalarOp::Gt: return lessThan(b, a);
  case ScalarOp::Ge: return lessEqual(b, a);
  case ScalarOp::Eq: return isEqual(a, b);
  case ScalarOp::Ne: return !isEqual(a, b);
  case ScalarOp::And: return a && b;
  case ScalarOp::Or: return a || b;
  case ScalarOp::Select: return choose(a, b, args[2]);
  }
  DNN_UNREACHABLE("every scalar operator has an expression");
}

} // namespace dnn::codegen
