// The plan has its own element types, because the runtime includes nothing of the compiler.
#pragma once

#include "compiler/support/assert.h"
#include "compiler/types/dtype.h"
#include "runtime/plan/plan.h"

namespace dnn::driver {

inline DType dtypeOf(plan::DType dtype) {
  switch (dtype) {
  case plan::DType::F32: return DType::F32;
  case plan::DType::F64: return DType::F64;
  case plan::DType::I32: return DType::I32;
  case plan::DType::I64: return DType::I64;
  case plan::DType::U8: return DType::U8;
  case plan::DType::U32: return DType::U32;
  case plan::DType::Bool: return DType::Bool;
  }
  DNN_UNREACHABLE("the plan has no other element types");
}

} // namespace dnn::driver
