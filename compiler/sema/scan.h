// A scan whose body is being run.
#pragma once

#include "compiler/ast/ast.h"
#include "compiler/sema/program.h"

#include <optional>
#include <vector>

namespace dnn::sema {

struct OpenScan {
  struct Next {
    VarId value = 0;
    diag::SourceRange where;
  };
  const ast::Scan& scan;
  std::vector<std::optional<VarId>> initial; // of the carries; none: reported
  std::vector<std::optional<Next>> nexts;    // of the carries, as far as the body has said them
  std::vector<VarId> emits;
  std::optional<Next> until;
  bool ok = true; // false: an error in the body was reported
};

} // namespace dnn::sema
