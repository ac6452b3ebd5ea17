// Types as the plan spells them.
#pragma once

#include "compiler/sema/program.h"

#include <span>
#include <string>

namespace dnn::sema {

/// A symbolic first dimension is the batch; `symbols` are those of the entry.
plan::Port portOf(const std::string& name, const TensorType& type, std::span<const Symbol> symbols = {});

} // namespace dnn::sema
