#include "test/unit/codegen/programs.h"

namespace dnn::codegen {

const char* const linearRegression = R"(
param @w : f32[5]
param @b : f32[]
func @init {
  %w = comp [i:5] : f32 { sub(mul(2.0, uniform(site 1; i, 0)), 1.0) }
  %b = comp [] : f32 { 0.0 }
  update @w = %w
  update @b = %b
}
func @step [N <= 16] {
  %x = input "x" : f32[N, 5]
  %t = input "t" : f32[N]
  %w = param @w : f32[5]
  %b = param @b : f32[]
  %y = comp [n:N] add [k:5] : f32 { mul(%x[n, k], %w[k]) }
  %d = comp [n:N] : f32 { sub(add(%y[n], %b[]), %t[n]) }
  %l = comp [] add [n:N] : f32 { div(mul(%d[n], %d[n]), f32(extent(N))) }
  %dw = comp [k:5] add [n:N] : f32 { mul(%d[n], %x[n, k]) }
  %db = comp [] add [n:N] : f32 { %d[n] }
  %w1 = comp [k:5] : f32 { sub(%w[k], mul(0.01, %dw[k])) }
  %b1 = comp [] : f32 { sub(%b[], mul(0.01, %db[])) }
  update @w = %w1
  update @b = %b1
  output "loss" = %l
}
func @predict.f [N <= 4] {
  %x = input "x" : f32[N, 5]
  %w = param @w : f32[5]
  %b = param @b : f32[]
  %s = comp [n:N] add [k:5] : f32 { mul(%x[n, k], %w[k]) }
  %y = comp [n:N] : f32 { add(%s[n], %b[]) }
  output "y" = %y
}
)";

const char* const mlp = R"(
param @w1 : f32[12, 20]
param @b1 : f32[20]
param @w2 : f32[20, 7]
optimizer_state @m2 : f32[20, 7]
state @count : i32[]
func @init {
  %w1 = comp [i:12, j:20] : f32 { mul(0.3, normal(site 1; 20*i + j, 0)) }
  %w2 = comp [i:20, j:7] : f32 { mul(0.3, normal(site 2; 7*i + j, 0)) }
  %z = comp [j:20] : f32 { 0.0 }
  %m = comp [i:20, j:7] : f32 { 0.0 }
  %c = comp [] : i32 { 0 }
  update @w1 = %w1
  update @b1 = %z
  update @w2 = %w2
  update @m2 = %m
  update @count = %c
}
func @step [N <= 33] {
  %x = input "x" : f32[N, 12]
  %t = input "t" : i32[N] < 7
  %unused = input "unused" : u8[N, 3]
  %w1 = param @w1 : f32[12, 20]
  %b1 = param @b1 : f32[20]
  %w2 = param @w2 : f32[20, 7]
  %m2 = state @m2 : f32[20, 7]
  %count = state @count : i32[]
  %step = env "step" : i32
  %s1 = comp [n:N, o:20] add [k:12] : f32 { mul(%x[n, k], %w1[k, o]) }
  %h = comp [n:N, o:20] : f32 { max(0.0, add(%s1[n, o], %b1[o])) }
  %s2 = comp [n:N, o:7] add [k:20] : f32 { mul(%h[n, k], %w2[k, o]) }
  %mx = comp [n:N] max [o:7] : f32 { %s2[n, o] }
  %e = comp [n:N, o:7] : f32 { exp(sub(%s2[n, o], %mx[n])) }
  %z = comp [n:N] add [o:7] : f32 { %e[n, o] }
  %ln = comp [n:N] : f32 { sub(add(log(%z[n]), %mx[n]), %s2[n, %t[n]]) }
  %l = comp [] add [n:N] : f32 { div(%ln[n], f32(extent(N))) }
  %d2 = comp [n:N, o:7] : f32 { div(sub(div(%e[n, o], %z[n]), f32(eq(o, %t[n]))), f32(extent(N))) }
  %dw2 = comp [k:20, o:7] add [n:N] : f32 { mul(%h[n, k], %d2[n, o]) }
  %dh = comp [n:N, k:20] add [o:7] : f32 { mul(%d2[n, o], %w2[k, o]) }
  %d1 = comp [n:N, o:20] : f32 { select(gt(%h[n, o], 0.0), %dh[n, o], 0.0) }
  %dw1 = comp [k:12, o:20] add [n:N] : f32 { mul(%x[n, k], %d1[n, o]) }
  %db1 = comp [o:20] add [n:N] : f32 { %d1[n, o] }
  %lr = comp [] : f32 { div(0.5, add(1.0, f32(%step[]))) }
  %w1n = comp [k:12, o:20] : f32 { sub(%w1[k, o], mul(%lr[], %dw1[k, o])) }
  %b1n = comp [o:20] : f32 { sub(%b1[o], mul(%lr[], %db1[o])) }
  %m2n = comp [k:20, o:7] : f32 { add(mul(0.9, %m2[k, o]), %dw2[k, o]) }
  %w2n = comp [k:20, o:7] : f32 { sub(%w2[k, o], mul(%lr[], %m2n[k, o])) }
  %countn = comp [] : i32 { add(%count[], 1) }
  update @w1 = %w1n
  update @b1 = %b1n
  update @w2 = %w2n
  update @m2 = %m2n
  update @count = %countn
  output "loss" = %l
  output "at" = %step
}
func @eval.te [N <= 50] {
  %x = input "x" : f32[N, 12]
  %t = input "t" : i32[N] < 7
  %w1 = param @w1 : f32[12, 20]
  %b1 = param @b1 : f32[20]
  %w2 = param @w2 : f32[20, 7]
  %s1 = comp [n:N, o:20] add [k:12] : f32 { mul(%x[n, k], %w1[k, o]) }
  %h = comp [n:N, o:20] : f32 { max(0.0, add(%s1[n, o], %b1[o])) }
  %s2 = comp [n:N, o:7] add [k:20] : f32 { mul(%h[n, k], %w2[k, o]) }
  %c = comp [n:N] argmax [o:7] : i32 < 7 { %s2[n, o] }
  %acc = comp [] add [n:N] : f32 { div(f32(eq(%c[n], %t[n])), f32(extent(N))) }
  output "acc" = %acc
}
)";

} // namespace dnn::codegen
