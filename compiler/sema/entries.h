// Types as the plan spells them.
#pragma once

#include "compiler/sema/program.h"

#include <string>

namespace dnn::sema {

/// A symbolic first dimension is the batch.
plan::Port portOf(const std::string& name, const TensorType& type);

} // namespace dnn::sema
