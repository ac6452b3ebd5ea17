// Graphs for tests, from their text.
#pragma once

#include "compiler/graph/graph.h"

#include <gtest/gtest.h>

namespace dnn::graph {

/// The module of this text; it parses and verifies or the test fails.
inline std::unique_ptr<Module> readModule(std::string_view text) {
  auto module = parseModule(text, "test");
  if (!module) {
    ADD_FAILURE() << module.error().where << ": " << module.error().message;
    return std::make_unique<Module>();
  }
  Status status = verify(**module);
  EXPECT_TRUE(status.ok()) << status.error().message;
  return std::move(*module);
}

/// The value with this name hint.
inline Value* findValue(const Function& function, std::string_view name) {
  Value* found = nullptr;
  forEachOp(function.body, [&](Op* op) {
    for (Value* v : op->results) {
      if (v->name == name) {
        found = v;
      }
    }
  });
  EXPECT_NE(found, nullptr) << name;
  return found;
}

} // namespace dnn::graph
