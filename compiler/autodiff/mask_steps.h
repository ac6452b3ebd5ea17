// A scan that may end early, as one that runs all its steps and lets those behind its end change nothing.
//
//   scan [t:T] until carry(%stopped = …, %h = %h0) { … next %end, %h1  emit %y }
//   →
//   scan [t:T] carry(%stopped = …, %h = %h0) {
//     …
//     next or(%stopped, %end), select(%stopped, %h, %h1)
//     emit select(%stopped, 0, %y)
//   }
//
// Gradients run through the second form; which steps run is a constant for them.
#pragma once

#include "compiler/graph/graph.h"

namespace dnn::autodiff {

/// Changes the scans that a loss of a `grad` depends on. The others that may end early save nothing.
void maskSteps(graph::Function& function);

} // namespace dnn::autodiff
