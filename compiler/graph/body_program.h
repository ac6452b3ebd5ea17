// The body of a comp or scatter, compiled for fixed extents to a flat list of instructions over lanes: each instruction
// works on up to `lanes` consecutive points of the domain (row-major, reduced indices fastest), so that reading an
// instruction costs little per point.
//
// Affine integer expressions, and the addresses of affine accesses, do not become arithmetic: along the innermost index
// they are arithmetic progressions and are filled in as such. What depends on no index is computed once, in the
// prologue.
#pragma once

#include "compiler/graph/graph.h"
#include "compiler/graph/interpreter.h"

#include <array>
#include <optional>

namespace dnn::graph {

constexpr int lanes = 128;

/// A register is an array of `lanes` doubles (floats) or of int64 (integers and bools); the two kinds are numbered
/// apart.
using Register = uint32_t;
constexpr Register noRegister = ~Register(0);

enum class Code : uint8_t {
  ConstFloat, // dst = number
  ConstInt,   // dst = integer
  Linear,     // dst = forms[form]
  LoadFloat,  // dst = operand[forms[form]], proved in range
  LoadInt,
  GatherFloat, // dst = b ? operand[a] : number; b may be noRegister
  GatherInt,   // dst = b ? operand[a] : integer
  MulAdd,      // dst = a + b * integer
  InRange,     // dst = 0 <= a < integer, and b unless that is noRegister
  Float,       // dst = op(a, b), floats
  Int,         // dst = op(a, b), integers of type dtype
  CompareFloat,
  CompareInt,
  Logic,       // dst = op(a, b), bools
  SelectFloat, // dst = a ? b : c
  SelectInt,
  Narrow, // dst = a rounded to dtype, which is storage-only
  IntToFloat,
  FloatToInt, // to dtype
  IntToInt,   // to dtype
  FloatToBool,
  DrawUniform, // dst = draw at (a, b), site = integer
  DrawNormal,
};

struct Instruction {
  Code code = Code::ConstFloat;
  DType dtype = DType::F32;
  ScalarOp op = ScalarOp::Add;
  Register dst = 0;
  Register a = noRegister;
  Register b = noRegister;
  Register c = noRegister;
  uint32_t operand = 0;
  uint32_t form = 0;
  int64_t integer = 0;
  double number = 0;
};

/// constant + Σ factors[i] · loop i.
struct AffineForm {
  int64_t constant = 0;
  std::vector<int64_t> factors;
};

struct DrawKey {
  uint64_t seed = 0;
  uint32_t step = 0;
};

class BodyProgram {
public:
  /// Extents come from the values of the function's symbols; the operands will have the extents of their types.
  BodyProgram(const Op& op, std::span<const int64_t> symbolValues);

  /// Sets every element of result, which has the extents of the op's result. False if a subscript left its tensor: an
  /// integer tensor does not keep its bound.
  bool run(std::span<const Tensor* const> operands, DrawKey key, Tensor& result);

private:
  struct Lowering;
  struct Segment {
    int start;
    int length;
  };

  // body_execute.cpp
  void execute(const Instruction& instruction, int count);
  void executeFloat(const Instruction& instruction, int count);
  void executeInt(const Instruction& instruction, int count);
  void executeCompare(const Instruction& instruction, int count);
  void executeLogic(const Instruction& instruction, int count);
  void executeLinear(const Instruction& instruction);
  template <class Out, class In> void executeLoad(const Instruction& instruction, Out* dst, const In& from);
  bool executeGather(const Instruction& instruction, int count);

  // body_run.cpp
  void fillSegments(int count);
  void reduceFloats(const double* values, int count, Tensor& result);
  void reduceInts(const int64_t* values, int count, Tensor& result);
  template <class T> void reduceArg(const T* values, int count, Tensor& result);
  template <class T, class Combine>
  void reduceWith(const T* values, int count, std::vector<T>& result, T start, Combine combine);
  void scatter(int count, Tensor& result);
  double* floats(Register r) { return floatRegisters_.data() + size_t(r) * lanes; }
  int64_t* ints(Register r) { return intRegisters_.data() + size_t(r) * lanes; }

  OpKind kind_;
  Reduction reduction_;
  DType bodyType_;
  std::vector<Instruction> prologue_;
  std::vector<Instruction> loop_;
  std::vector<AffineForm> forms_;
  std::vector<int64_t> extents_; // of the loops, outermost first; none has extent 1
  int64_t points_ = 1;
  int64_t reducedPoints_ = 1;
  Register value_ = 0;
  Register address_ = noRegister; // scatter
  uint32_t floatCount_ = 0;
  uint32_t intCount_ = 0;

  // While running.
  std::vector<double> floatRegisters_;
  std::vector<int64_t> intRegisters_;
  std::vector<int64_t> position_;        // of the next point, one a loop
  std::vector<Segment> segments_;        // of the lanes, along the innermost loop
  std::vector<int64_t> segmentPosition_; // the loops' values at the start of each segment
  std::span<const Tensor* const> operands_;
  DrawKey key_;
  int64_t output_ = 0;  // element that is being reduced
  int64_t reduced_ = 0; // points of it that are done
  double floatSoFar_ = 0;
  int64_t intSoFar_ = 0;
  int64_t best_ = 0; // argmax, argmin
  bool inRange_ = true;
};

/// The value brought into the range of an integer type, modulo 2^bits.
int64_t wrapTo(DType dtype, int64_t value);

} // namespace dnn::graph
