"""Convolutions, pooling and resampling against loops in Python. `make`: prints a program whose prediction has the results
of all cases below; `check OUT.csv`: compares them. x[k] = (7·k mod 23) - 11 in row-major order, w[k] = (5·k mod 17) - 8."""

import csv
import itertools
import math
import sys

INSIDE, SAME = 0, -1


class Array:
    """Numbers by their places."""

    def __init__(self, *dims, fill=None, modulus=23, factor=7, shift=11):
        self.dims = dims
        places = itertools.product(*map(range, dims))
        self.at = {p: fill if fill is not None else factor * k % modulus - shift for k, p in enumerate(places)}

    def flat(self):
        return [self.at[p] for p in itertools.product(*map(range, self.dims))]


def size(n, k, stride, pad, dilation=1):
    return -(-n // stride) if pad == SAME else (n + 2 * pad - (k - 1) * dilation - 1) // stride + 1


def before(n, k, stride, pad, dilation=1):
    return max((size(n, k, stride, SAME) - 1) * stride + (k - 1) * dilation + 1 - n, 0) // 2 if pad == SAME else pad


def kernel(*dims):
    return Array(*dims, modulus=17, factor=5, shift=8)


def windows(x, k, stride, pad, dilation=1):
    """Each place of the result with the places of x in its window (None beside it), by place in the kernel."""
    space = x.dims[:-1]
    ks = k if isinstance(k, tuple) else (k,) * len(space)
    starts = [before(n, k, stride, pad, dilation) for n, k in zip(space, ks)]
    for out in itertools.product(*(range(size(n, k, stride, pad, dilation)) for n, k in zip(space, ks))):
        window = {}
        for u in itertools.product(*map(range, ks)):
            p = tuple(stride * o + dilation * t - s for o, t, s in zip(out, u, starts))
            window[u] = p if all(0 <= a < n for a, n in zip(p, space)) else None
        yield out, window


def conv(x, w, stride=1, pad=INSIDE, dilation=1, groups=1):
    channels, outs = w.dims[-2:]
    ks = w.dims[:-2]
    y = Array(*(size(n, k, stride, pad, dilation) for n, k in zip(x.dims[:-1], ks)), outs, fill=0)
    for out, window in windows(x, ks, stride, pad, dilation):
        for u, p in window.items():
            for c, o in itertools.product(range(channels), range(outs)):
                if p is not None:
                    y.at[*out, o] += x.at[*p, o // (outs // groups) * channels + c] * w.at[*u, c, o]
    return y


def transposed(x, w, stride=1, pad=INSIDE, dilation=1, extra=0, groups=1):
    ks = w.dims[:-2]
    y = Array(*(n * stride if pad == SAME else (n - 1) * stride + (k - 1) * dilation + 1 - 2 * pad + extra
                for n, k in zip(x.dims[:-1], ks)), groups * w.dims[-2], fill=0)
    for out, window in windows(y, ks, stride, pad, dilation):
        for u, p in window.items():
            for o, c in itertools.product(range(w.dims[-2]), range(w.dims[-1])):
                if p is not None:
                    y.at[*p, c // (w.dims[-1] // groups) * w.dims[-2] + o] += x.at[*out, c] * w.at[*u, o, c]
    return y


def pool(x, of, k, stride=None, pad=INSIDE):
    stride = stride or k
    y = Array(*(size(n, k, stride, pad) for n in x.dims[:-1]), x.dims[-1], fill=0)
    for out, window in windows(x, k, stride, pad):
        for c in range(x.dims[-1]):
            y.at[*out, c] = of([x.at[*p, c] for p in window.values() if p is not None])
    return y


def mean(v):
    return sum(v) / len(v)


def adaptive(x, of, *counts):
    y = Array(*counts, x.dims[-1], fill=0)
    for *place, c in y.at:
        windows = [range(i * n // m, -(-(i + 1) * n // m)) for i, n, m in zip(place, x.dims, counts)]
        y.at[*place, c] = of([x.at[*p, c] for p in itertools.product(*windows)])
    return y


def padded(x, sides, kind, value=0):
    """sides: (before, after) of each dimension but the last."""
    def source(i, n):
        if kind == "zero":
            return i if 0 <= i < n else None
        if kind == "reflection":
            return -i if i < 0 else 2 * (n - 1) - i if i >= n else i
        return min(max(i, 0), n - 1) if kind == "replication" else i % n

    y = Array(*(n + a + b for n, (a, b) in zip(x.dims, sides)), x.dims[-1], fill=value)
    for *place, c in y.at:
        p = [source(i - a, n) for i, n, (a, _) in zip(place, x.dims, sides)]
        if None not in p:
            y.at[*place, c] = x.at[*p, c]
    return y


def response_norm(x, size, alpha, beta, k):
    y = Array(*x.dims, fill=0)
    for *p, c in y.at:
        near = [x.at[*p, d] ** 2 for d in range(c - size // 2, c - size // 2 + size) if 0 <= d < x.dims[-1]]
        y.at[*p, c] = x.at[*p, c] / (k + alpha * sum(near) / size) ** beta
    return y


def unpool(x, k, stride, pad):
    """The largest of each window of x goes back to the first place where it stands."""
    y = Array(*x.dims, fill=0)
    for out, window in windows(x, k, stride, pad):
        for c in range(x.dims[-1]):
            places = [p for p in window.values() if p is not None]
            best = max(places, key=lambda p: (x.at[*p, c], -places.index(p)))
            y.at[*best, c] += x.at[*best, c]
    return y


def bilinear(x, height, width):
    H, W, C = x.dims

    def near(i, n, m):
        at = (i + 0.5) * n / m - 0.5
        low = math.floor(at)
        return max(low, 0), min(low + 1, n - 1), at - low

    y = Array(height, width, C, fill=0)
    for i, j, c in y.at:
        a, b, s = near(i, H, height)
        d, e, t = near(j, W, width)
        top = x.at[a, d, c] * (1 - t) + x.at[a, e, c] * t
        bottom = x.at[b, d, c] * (1 - t) + x.at[b, e, c] * t
        y.at[i, j, c] = top * (1 - s) + bottom * s
    return y


def moved(x, dims, where):
    y = Array(*dims, fill=0)
    for p in y.at:
        y.at[p] = x.at[where(*p)]
    return y


CASES = []  # name, what to call, dims of x, dims of w or (), the answer


def case(call, x, w, answer):
    CASES.append((f"case{len(CASES)}", call, x, w, answer))


def statics(**given):
    return ", ".join(f"{k} = {'same' if k == 'pad' and v == SAME else v}" for k, v in given.items())


for x, w, given in [
    ((5, 5, 1), (3, 3, 1, 1), {}),
    ((7, 6, 2), (3, 3, 2, 3), dict(stride=2, pad=SAME)),
    ((8, 9, 3), (2, 2, 3, 2), dict(stride=3, pad=1, dilation=2)),
    ((6, 5, 4), (3, 3, 2, 4), dict(pad=SAME, dilation=2, groups=2)),
    ((5, 5, 3), (3, 3, 1, 6), dict(stride=2, pad=1, groups=3)),
    ((4, 3, 2), (1, 1, 2, 3), dict(stride=2, pad=SAME)),
    ((9, 2), (4, 2, 3), dict(stride=2, pad=SAME)),
    ((8, 4), (3, 2, 4), dict(pad=2, dilation=3, groups=2)),
    ((4, 3, 5, 2), (3, 3, 3, 2, 2), dict(stride=2, pad=1)),
    ((3, 3, 3, 4), (2, 2, 2, 2, 2), dict(pad=SAME, groups=2)),
    ((5, 6, 2), (1, 4, 2, 3), dict(pad=SAME)),
    ((6, 5, 2), (3, 1, 1, 4), dict(stride=2, groups=2)),
]:
    case(f"conv{len(x) - 1}d({statics(**given)})", x, w, lambda a, b, given=given: conv(a, b, **given))
for x, w, given in [
    ((3, 4, 2), (3, 3, 3, 2), dict(stride=2, pad=1, extra=1)),
    ((3, 2, 2), (4, 4, 2, 2), dict(stride=3, pad=SAME)),
    ((3, 2, 1), (2, 2, 2, 1), dict(stride=1, dilation=2)),
    ((4, 2), (3, 2, 2), dict(stride=3)),
    ((2, 2, 2, 1), (3, 3, 3, 2, 1), dict(stride=2, pad=1)),
    ((4, 6), (3, 2, 6), dict(stride=2, groups=3)),
    ((3, 2, 4), (3, 3, 1, 4), dict(stride=2, pad=1, extra=1, groups=2)),
    ((2, 3, 2, 2), (2, 2, 2, 1, 2), dict(stride=2, groups=2)),
    ((3, 4, 2), (1, 3, 2, 2), dict()),
]:
    case(f"conv{len(x) - 1}d_transposed({statics(**given)})", x, w, lambda a, b, given=given: transposed(a, b, **given))
for x, k, stride, pad in [((6, 7, 2), 3, 2, SAME), ((5, 4, 1), 2, 2, 1), ((7, 2), 3, 1, INSIDE), ((4, 3, 3, 1), 2, 1, SAME)]:
    given = statics(k=k, stride=stride, pad=pad)
    case(f"max_pool{len(x) - 1}d({given})", x, (), lambda a, k=k, s=stride, p=pad: pool(a, max, k, s, p))
    case(f"avg_pool{len(x) - 1}d({given})", x, (), lambda a, k=k, s=stride, p=pad: pool(a, mean, k, s, p))
case("lp_pool2d(3, k = 2)", (4, 6, 1), (), lambda a: pool(a, lambda v: sum(abs(t) ** 3 for t in v) ** (1 / 3), 2))
case("adaptive_avg_pool2d(2, 3)", (5, 7, 2), (), lambda a: adaptive(a, mean, 2, 3))
case("adaptive_max_pool2d(3, 4)", (4, 4, 2), (), lambda a: adaptive(a, max, 3, 4))
case("lp_pool1d(1.5, k = 3, stride = 2)", (8, 2), (),
     lambda a: pool(a, lambda v: sum(abs(t) ** 1.5 for t in v) ** (1 / 1.5), 3, 2))
for kind, of in [("avg", mean), ("max", max)]:
    case(f"adaptive_{kind}_pool1d(3)", (7, 2), (), lambda a, of=of: adaptive(a, of, 3))
    case(f"adaptive_{kind}_pool3d(2, 3, 1)", (3, 5, 4, 2), (), lambda a, of=of: adaptive(a, of, 2, 3, 1))
for kind in ["reflection", "replication", "circular"]:
    case(f"{kind}_pad1d(3, 2)", (4, 2), (), lambda a, k=kind: padded(a, [(3, 2)], k))
    case(f"{kind}_pad2d(2)", (3, 4, 2), (), lambda a, k=kind: padded(a, [(2, 2), (2, 2)], k))
    case(f"{kind}_pad2d(0, 1, 3, 2)", (2, 4, 1), (), lambda a, k=kind: padded(a, [(0, 1), (3, 2)], k))
case("zero_pad1d(2, value = -1.5)", (3, 2), (), lambda a: padded(a, [(2, 2)], "zero", -1.5))
case("zero_pad2d(1, 0, left = 2)", (3, 2, 2), (), lambda a: padded(a, [(1, 0), (2, 2)], "zero"))
case("local_response_norm(3, 0.5, 0.75, 2)", (2, 2, 5), (), lambda a: response_norm(a, 3, 0.5, 0.75, 2))
case("local_response_norm(4)", (3, 5), (), lambda a: response_norm(a, 4, 1e-4, 0.75, 1))
case("channel_shuffle(3)", (2, 6), (), lambda a: moved(a, (2, 6), lambda i, c: (i, c % 3 * 2 + c // 3)))
case("glu", (3, 6), (), lambda a: gated(a))
case("upsample_nearest1d(2)", (3, 2), (), lambda a: moved(a, (6, 2), lambda j, c: (j // 2, c)))
case("upsample_nearest3d(2)", (1, 2, 3, 1), (),
     lambda a: moved(a, (2, 4, 6, 1), lambda h, i, j, c: (h // 2, i // 2, j // 2, c)))
case("unpooled1", (7, 2), (), lambda a: unpool(a, 3, 2, SAME))
case("unpooled3", (3, 4, 3, 1), (), lambda a: unpool(a, 2, 2, SAME))
case("upsample_nearest2d(3)", (2, 3, 2), (), lambda a: moved(a, (6, 9, 2), lambda i, j, c: (i // 3, j // 3, c)))
case("upsample_bilinear2d(2)", (3, 4, 2), (), lambda a: bilinear(a, 6, 8))
case("resize_bilinear2d(5, 3)", (4, 7, 1), (), lambda a: bilinear(a, 5, 3))
case("resize_nearest2d(3, 5)", (5, 4, 1), (), lambda a: moved(a, (3, 5, 1), lambda i, j, c: (i * 5 // 3, j * 4 // 5, c)))
case("pixel_shuffle(2)", (2, 3, 8), (),
     lambda a: moved(a, (4, 6, 2), lambda i, j, c: (i // 2, j // 2, 4 * c + i % 2 * 2 + j % 2)))
case("pixel_unshuffle(2)", (4, 6, 2), (),
     lambda a: moved(a, (2, 3, 8), lambda i, j, c: (2 * i + c // 2 % 2, 2 * j + c % 2, c // 4)))
case("global_avg_pool", (3, 4, 2), (), lambda a: pool_all(a, mean))
case("global_max_pool", (3, 4, 2), (), lambda a: pool_all(a, max))
case("unpooled", (5, 5, 2), (), lambda a: unpool(a, 3, 2, SAME))


def gated(x):
    half = x.dims[-1] // 2
    y = Array(*x.dims[:-1], half, fill=0)
    for *p, c in y.at:
        y.at[*p, c] = x.at[*p, c] / (1 + math.exp(-x.at[*p, c + half]))
    return y


def pool_all(x, of):
    y = Array(x.dims[-1], fill=0)
    for c in range(x.dims[-1]):
        y.at[c,] = of([v for p, v in x.at.items() if p[-1] == c])
    return y


def made(name, dims, modulus, factor, shift):
    """`let` of the numbers of an Array."""
    ids = [f"{name}{k}" for k in range(len(dims))]
    place = "0"
    for i, n in zip(ids, dims):
        place = f"({place}) * {n} + {i}"
    head = ", ".join(f"{i}: {n}" for i, n in zip(ids, dims))
    return head, f"float((({place}) * {factor}) % {modulus} - {shift})"


answers = [answer(Array(*x), *([kernel(*w)] if w else [])).flat() for _, _, x, w, answer in CASES]
if sys.argv[1] == "make":
    print("fn unpooled(x: f32[N, H, W, C]) -> f32[N, H, W, C] {\n  let pool = max_pool2d(3, stride = 2, pad = same)\n"
          "  let back = max_unpool2d(3, stride = 2, pad = same)\n  return back(pool(x), x)\n}\n"
          "fn unpooled1(x: f32[N, W, C]) -> f32[N, W, C] {\n  let pool = max_pool1d(3, stride = 2, pad = same)\n"
          "  let back = max_unpool1d(3, stride = 2, pad = same)\n  return back(pool(x), x)\n}\n"
          "fn unpooled3(x: f32[N, Z, H, W, C]) -> f32[N, Z, H, W, C] {\n  let pool = max_pool3d(2, stride = 2, pad = same)\n"
          "  let back = max_unpool3d(2, stride = 2, pad = same)\n  return back(pool(x), x)\n}")
    for (name, call, x, w, _), want in zip(CASES, answers):
        head, body = made("p", x, 23, 7, 11)
        print(f"fn {name}(z: f32[N]) -> f32[N, {len(want)}] {{\n  let x[n: N, {head}] = {body} + z[n]")
        if w:
            head, body = made("p", w, 17, 5, 8)
            print(f"  let w[{head}] = {body}")
        print(f"  let f = {call}\n  return flatten(f(x{', w' if w else ''}))\n}}")
    print(f"train images {{\n  predict all(z: f32[N]) -> f32[N, {sum(map(len, answers))}] {{")
    print(f"    return concat({', '.join(f'{case[0]}(z)' for case in CASES)}, axis = 1)\n  }}\n}}")
else:
    got = iter(float(v) for v in list(csv.reader(open(sys.argv[2])))[1])
    wrong = 0
    for (name, call, x, _, _), want in zip(CASES, answers):
        have = [next(got) for _ in want]
        if any(not abs(a - b) <= 1e-5 * (1 + abs(b)) for a, b in zip(have, want)):
            print(f"{call} of {x}: {have}, not {want}")
            wrong += 1
    print(f"{len(CASES)} cases, {wrong} wrong")
