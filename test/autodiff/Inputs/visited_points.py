"""The gradient of strided and dilated convolutions (of two channels) with respect to their input: how many multiply-adds
it visits for those that it needs. usage: visited_points.py DNN_OPT

Differentiates a convolution in one dimension for each stride and dilation of 1 to 3, kernel of 1 to 5 places and some odd
sizes, and some in two dimensions. Visited is what the domains of the ops that read the kernel span; needed are the pairs of a
place of the input and a place of the kernel that meet in the forward pass. Where the input is small most places are at its
border, so there the measure is what each place's residue meets if the border were not there."""

import itertools
import math
import re
import subprocess
import sys


def needed(size, out, k, stride, dilation, pad):
    return sum(0 <= stride * i + dilation * u - pad < size for i in range(out) for u in range(k))


def met(size, k, stride, dilation, pad):
    return sum((e + pad - dilation * u) % stride == 0 for e in range(size) for u in range(k))


cases = []
for stride, dilation, k, size in itertools.product((1, 2, 3), (1, 2, 3), (1, 2, 3, 4, 5), (201, 213)):
    cases.append((1, stride, dilation, k, size))
for stride, dilation, k in itertools.product((1, 2, 3), (1, 2), (2, 3)):
    cases.append((2, stride, dilation, k, 201))
for stride, k, size in itertools.product((2, 3), (2, 3, 4, 5), (2, 4, 6, 8)):
    cases.append((2, stride, 1, k, size))

text = ""
wanted = []
for at, (rank, stride, dilation, k, size) in enumerate(cases):
    pad = (k - 1) * dilation // 2
    out = (size + 2 * pad - (k - 1) * dilation - 1) // stride + 1
    least = needed(size, out, k, stride, dilation, pad) ** rank * 4
    wanted.append((least, 1.05 * least if size > 8 else met(size, k, stride, dilation, pad) ** rank * 4))
    sizes, outs, ks = (", ".join([str(n)] * rank) for n in (size, out, k))
    points = ", ".join(f"i{d}:{out}" for d in range(rank))
    taps = ", ".join(f"u{d}:{k}" for d in range(rank))
    reads = ", ".join(f"{stride}*i{d} + {dilation}*u{d} - {pad}" for d in range(rank))
    at_point, at_tap = (", ".join(f"{v}{d}" for d in range(rank)) for v in "iu")
    text += f"""func @case{at} {{
  %x = input "x" : f32[{sizes}, 2]
  %w = input "w" : f32[{ks}, 2, 2]
  %y = comp [{points}, o:2] add [{taps}, c:2] : f32 {{ mul(%x[{reads}, c; 0.0], %w[{at_tap}, c, o]) }}
  %l = comp [] add [{points}, o:2] : f32 {{ exp(%y[{at_point}, o]) }}
  %dx = grad %l wrt (%x) : f32[{sizes}, 2]
  output "dx" = %dx
}}
"""
after = subprocess.run([sys.argv[1], "--pass=differentiate", "-"], input=text, check=True, text=True, stdout=subprocess.PIPE)
worst = 0
functions = after.stdout.split("func @case")[1:]
assert len(functions) == len(cases)
for case, function, (want, most) in zip(cases, functions, wanted):
    visited = 0
    for op in function[function.index("%d_y =") :].split("\n"):
        domain = re.match(r"\s*%\w+ = comp (\[.*?\])(?: add (\[.*?\]))? : f32 {", op)
        extents = map(int, re.findall(r":(\d+)", " ".join(filter(None, domain.groups())))) if domain else ()
        visited += math.prod(extents) * op.count("%w[")
    # Fewer would be a gradient that lacks something.
    if visited < want or visited > most:
        print(f"rank {case[0]} stride {case[1]} dilation {case[2]} kernel {case[3]} size {case[4]}: {visited} for {want}")
    if case[4] > 8:
        worst = max(worst, visited / want)
print(f"{len(cases)} convolutions, at most {worst:.3f} visited for one needed")
