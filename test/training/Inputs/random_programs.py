"""Random training programs: the compiled program against the interpreter in 64 bits, after three steps.

Each file holds several nets of random layers (of the library and in index notation), each with a loss and an optimizer of its
own. The checkpoints of the executable with one thread and with two and of the program in this process must be the same bytes.
They must be as near to the interpreter's as rounding explains: the interpreter runs the program again with noise, as large as
the worst rounding of a 32 bit sum of the longest length here, on what every layer computes and on every gradient; and on the
loss's own gradient noise of that size relative to 1, as it is a difference of probabilities. The derivatives of tanh and of the
logistic function are 1 - t² and y - y² of a rounded t and y: where these are nearly 1 the rounding is most of it, so the noisy
program computes them from values that are an error of rounding smaller. How far that
moves each number is its tolerance, times FACTOR because noise is random and rounding may not be.

usage: random_programs.py DNNC FILES NETS SEED
"""

import math
import pathlib
import random
import struct
import subprocess
import sys

LONGEST = 40  # terms of a sum: a row of a batch times its width
NOISE = (LONGEST + 4) * 2.0**-24
BATCH = 4
SMALLER = 1 - 2.0**-23
RUNS = 3
FACTOR = 4

SHARED = """
fn noise(x: f32[*B]) -> f32[*B] {{
  {noise}
  return y
}}
fn stirred(x: f32[*B]) -> f32[*B] {{ return x }} vjp (dy) {{
  {stir}
  return d
}}
fn shaken()(g: f32[*S], norm: f32) -> f32[*S] = noise(g)
fn squash(s: f32) -> f32 = tanh(s){squash}
fn gate(s: f32) -> f32 = sigmoid(s){gate}
fn bent(s: f32) -> f32 = s * squash(softplus(s))
layer Scale(x: f32[N, K]) -> f32[N, K] {{
  param a: f32[K] ~ normal(mean = 1, std = 0.3)
  let y[n, k] = x[n, k] * a[k] + mean[j] x[n, j]
  return y
}}
layer Filter(x: f32[N, K]) -> f32[N, K] {{
  param c: f32[3] ~ normal(std = 0.6)
  let y[n, k: K] = sum[u: 3] x[n, k + u - 1; 0] * c[u]
  return y
}}
layer Gated(out: int)(x: f32[N, K]) -> f32[N, out] {{
  param a: f32[K, out] ~ glorot(fan_in = K, fan_out = out)
  param b: f32[K, out] ~ glorot(fan_in = K, fan_out = out)
  let u[n, o] = sum[k] x[n, k] * a[k, o]
  let v[n, o] = sum[k] x[n, k] * b[k, o]
  return squash(u) * gate(v)
}}
layer Norm(x: f32[N, K]) -> f32[N, K] {{
  param g: f32[K] ~ ones()
  let m[n]    = mean[k] x[n, k]
  let v[n]    = mean[k] sq(x[n, k] - m[n])
  let y[n, k] = (x[n, k] - m[n]) * rsqrt(v[n] + 0.1) * g[k]
  return y
}}
layer Steps(x: f32[N, K]) -> f32[N, K] {{
  param a: f32[2] ~ normal(std = 0.5)
  let s = scan t: K with h: f32[N] = 0 {{
    let h1[n] = tanh(a[0] * h[n] + a[1] * x[n, t])
    next h = h1
    emit h1
  }}
  let y[n, k] = s[k, n]
  return y
}}
layer Pick(out: int)(x: f32[N, K], t: i32[N] < 5) -> f32[N, out] {{
  param e: f32[5, out] ~ normal(std = 0.5)
  param w: f32[K, out] ~ glorot(fan_in = K, fan_out = out)
  let y[n, o] = e[t[n], o] + sum[k] x[n, k] * w[k, o]
  return y
}}
layer Best(x: f32[N, K]) -> f32[N, K] {{
  param w: f32[K, K] ~ normal(std = 0.5)
  let y[n, k] = max[j] x[n, j] * w[j, k]
  return y
}}
layer Window(x: f32[N, K]) -> f32[N, K] {{
  let c = Conv1d(1, k = 3, pad = same)
  let v = reshape(x, [N, K, 1])
  return reshape(c(v), [N, K])
}}
layer Gates(x: f32[N, K]) -> f32[N, K] {{
  let r = GRU(1)
  let v = reshape(x, [N, K, 1])
  return reshape(r(v), [N, K])
}}
layer Bag(x: f32[N, K], t: i32[N] < 5) -> f32[N, K] {{
  param e: f32[5, 2] ~ normal(std = 0.5)
  let y[n, k] = x[n, k] + sum[j: 2] e[(t[n] + j * k) % 5, k % 2]
  return y
}}
layer Sorted(x: f32[N, K]) -> f32[N, K] {{
  param a: f32[K] ~ normal(std = 0.5)
  let s = sort(x)
  let best = top_k(2)(x)
  let y[n, k] = s[n, k] * a[k] + best[n, 1]
  return y
}}
"""

ACTIVATIONS = ["squash", "gate", "softplus", "gelu", "silu", "bent", "elu()", "identity"]
OPTIMIZERS = [
    "sgd(lr = {lr})", "momentum(lr = {lr}, mu = 0.8)", "nesterov(lr = {lr})", "adagrad(lr = {lr}, eps = 1e-2)",
    "rmsprop(lr = {lr}, eps = 1e-2)", "adam(lr = {lr}, b1 = 0.8, b2 = 0.8, eps = 1e-2)", "adamw(lr = {lr}, b1 = 0.8, b2 = 0.8, eps = 1e-2)",
    "sgd(lr = cosine(peak = {lr}, steps = 5))", "adam(lr = by_epoch(rate = {lr}), b1 = 0.8, b2 = 0.8, eps = 1e-2)",
]
THROUGH = ["clip_value(0.5)", "clip_norm(0.7)", "clip_global_norm(0.8)"]


def net(rng, name):
    """The layer's text and how it is called."""
    width = rng.choice([3, 4, 4, 4])  # few shapes, so that programs share kernels
    lines, last = [], "x"
    for i in range(rng.randint(1, 3)):
        kind = rng.randrange(14)
        layer = [
            f"Dense({width}, act = {rng.choice(ACTIVATIONS)})", "Scale()", "Filter()", f"Gated({width})", "Norm()", "Steps()",
            f"Pick({width})", "Best()", f"Dense({width}, act = squash, bias = false)", "Window()", "Gates()", "Bag()", "Sorted()",
            "BatchNorm(eps = 0.1)",
        ][kind]
        call = f"l{i}({last}, t)" if kind in (6, 11) else f"l{i}({last})"
        same = kind not in (0, 3, 6, 8)
        shown = f"{call} + {last}" if same and rng.random() < 0.4 else f"softmax(noise({call}))" if rng.random() < 0.1 else call
        lines += [f"  let l{i} = {layer}", f"  let y{i} = noise({shown})"]
        last = f"y{i}"
    return f"layer {name}(x: f32[N, D], t: i32[N] < 5) -> f32[N, 3] {{\n" + "\n".join(
        lines + ["  let head = Dense(3)", f"  return stirred(noise(head({last})))"]) + "\n}\n"


def program(rng, nets, noisy):
    text = SHARED.format(noise="let y[*b] = x[*b] * (1 + %r * (2 * draw_uniform() - 1))" % NOISE if noisy else "let y = x",
                         stir="let d[*b] = dy[*b] + %r * (2 * draw_uniform() - 1)" % (NOISE / BATCH) if noisy else "let d = dy",
                         squash=" vjp (dy) { let t = %r * tanh(s)  return dy * (1 - t * t) }" % SMALLER if noisy else "",
                         gate=" vjp (dy) { let y = %r * sigmoid(s)  return dy * (y - y * y) }" % SMALLER if noisy else "")
    body, step = [], []
    for i in range(nets):
        text += net(rng, f"Net{i}")
        loss = rng.choice([
            f"mse(n{i}(x, t), z)", f"softmax_xent(n{i}(x, t), c)", f"mean(bce_logits(n{i}(x, t), z))",
            f"mean(sq(squash(n{i}(x, t)) - z))", f"mean(softplus(n{i}(x, t))) + 0.1 * mean(sq(n{i}(x, t)))",
        ]).replace("softmax_xent(", "mean(softmax_xent(").replace(", c)", ", c))")
        lr = 0.1  # constants are part of kernels: few of them
        extra = rng.choice(["", "", " every 2 steps", " accumulate 2"])
        through = (["shaken()"] if noisy else []) + ([rng.choice(THROUGH)] if rng.random() < 0.3 else [])
        body += [f"  let n{i} = Net{i}()", f"  opt o{i} = {rng.choice(OPTIMIZERS).format(lr=lr)}"]
        behind = f" through {', '.join(through)}" if through else ""
        if rng.random() < 0.2:
            body += [f"  opt h{i} = {rng.choice(OPTIMIZERS).format(lr=lr)}"]
            step.append(f"    minimize {loss} over n{i}.head with h{i}{behind}")
            step.append(f"    minimize {loss} over n{i} except n{i}.head with o{i}{extra}{behind}")
        else:
            step.append(f"    minimize {loss} over n{i} with o{i}{extra}{behind}")
    return text + f"""
train p {{
{chr(10).join(body)}
  data tr = generate 10 seed {rng.randrange(1000)} {{
    let x[i, k: 4] = draw_normal()
    let t[i]       = max(min(int(5 * draw_uniform()), 4), 0)
    let c[i]       = max(min(int(3 * draw_uniform()), 2), 0)
    let z[i, k: 3] = draw_uniform()
    return x, t, c, z
  }}, batch = 4, shuffle = true
  step (x, t, c, z) in tr {{
{chr(10).join(step)}
  }}
  run steps = 3, seed = {rng.randrange(1000)}
}}
"""


def tensors(path):
    """The floats of a checkpoint, by path."""
    data, at = path.read_bytes(), 20
    out = {}

    def take(form):
        nonlocal at
        values = struct.unpack_from("<" + form, data, at)
        at += struct.calcsize("<" + form)
        return values

    def string():
        nonlocal at
        (size,) = take("I")
        at += size
        return data[at - size : at].decode()

    string()
    take("7QIB")
    for form in "Qdd":
        (count,) = take("I")
        take(f"{count}{form}")
    for _ in range(3):
        take("BdQ")
    (count,) = take("I")
    for _ in range(count):
        name = string()
        dtype, rank = take("BI")
        dims = take(f"{rank}q") if rank else ()
        size = 1
        for dim in dims:
            size *= dim
        values = take(f"{size}{'fdiqBIB'[dtype]}")
        take("I")
        if dtype == 0:
            out[name] = values
    return out


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(" ".join(map(str, command)) + "\n" + done.stdout + done.stderr)


dnnc, files, nets, seed = sys.argv[1], *map(int, sys.argv[2:5])
wrong, compared = [], 0
for number in range(files):
    name = pathlib.Path(f"p{number}.dnn")
    name.write_text(program(random.Random(f"{seed}/{number}"), nets, False))
    out = {what: pathlib.Path(f"p{number}.{what}") for what in ("one", "two", "jit", "exact", "program")}
    try:
        run(dnnc, "build", name, "-o", out["program"])
        run(out["program"].resolve(), "train", "--quiet", "--threads", "1", "--checkpoint", out["one"])
        run(out["program"].resolve(), "train", "--quiet", "--threads", "2", "--checkpoint", out["two"])
        run(dnnc, "run", name, "train", "--quiet", "--threads", "2", "--checkpoint", out["jit"])
        run(dnnc, "run", "--interpret", name, "train", "--quiet", "--checkpoint", out["exact"])
        got = tensors(out["one"])
        if not out["one"].read_bytes() == out["two"].read_bytes() == out["jit"].read_bytes():
            wrong.append(f"{name}: the bytes differ between threads, or between the executable and this process")
        exact = tensors(out["exact"])
        moved = {path: [0.0] * len(values) for path, values in exact.items()}
        for k in range(RUNS):
            shaken = pathlib.Path(f"p{number}.noise.dnn")
            # The draws of the noise hang on the step's number in the run: another run needs another constant.
            text = program(random.Random(f"{seed}/{number}"), nets, True).replace("draw_uniform() - 1", f"fraction(draw_uniform() + {k / RUNS}) - 1")
            shaken.write_text(text + "fn fraction(s: f32) -> f32 = s - floor(s)\n")
            run(dnnc, "run", "--interpret", shaken, "train", "--quiet", "--checkpoint", f"p{number}.noise")
            for path, values in tensors(pathlib.Path(f"p{number}.noise")).items():
                moved[path] = [max(m, abs(v - e)) for m, v, e in zip(moved[path], values, exact[path])]
    except RuntimeError as error:
        wrong.append(str(error))
        continue
    for path, values in exact.items():
        largest = max(map(abs, values))
        overflown = not math.isfinite(sum(values))  # where an infinity and where their difference comes up is rounding
        for i, (value, want, shift) in enumerate(zip(got[path], values, moved[path], strict=True)):
            if overflown:
                if math.isfinite(value) != math.isfinite(want):
                    wrong.append(f"{name}: {path}[{i}] is {value}, not {want}")
                continue
            # What is stored has been rounded a few times more by the optimizer.
            if not abs(value - want) <= FACTOR * max(shift, sum(moved[path]) / len(values)) + 8 * 2.0**-24 * largest:
                wrong.append(f"{name}: {path}[{i}] is {value}, not {want}; noise moves it by {shift}")
    compared += nets
print("\n".join(wrong[:20]) or f"{compared} programs: equal within the error of rounding")
sys.exit(bool(wrong))
