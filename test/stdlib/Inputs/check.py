"""Asks a program for predictions and compares them with values computed here. usage: check.py "COMMAND" THEME

Each theme is a function below, of the name of the test that uses it. Prints one line for each definition.
"""

import math
import subprocess
import sys

program = sys.argv[1].split()
# The last three lines are where naive formulas overflow.
POINTS = [-10, -3.5, -1, -0.5, -1e-3, 0, 1e-3, 0.5, 1, 2.5, 3.5, 10, -1000, 88.8, 1000]
failed = False


def predict(name, checkpoint="", **inputs):
    """The result's rows, from the rows (or numbers) of each input."""
    command = [*program, "predict", name, *(["--checkpoint", checkpoint] if checkpoint else [])]
    for port, rows in inputs.items():
        rows = [row if isinstance(row, (list, tuple)) else [row] for row in rows]
        with open(f"{port}.csv", "w") as file:
            file.write(",".join(f"c{k}" for k in range(len(rows[0]))) + "\n")
            file.writelines(",".join(map(str, row)) + "\n" for row in rows)
        command += ["--in", f"{port}={port}.csv"]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split("\n")[1:]
    return [[float(v) for v in line.split(",")] for line in lines if line]


def near(got, want, relative=2e-6, absolute=1e-6):
    return math.isfinite(got) and abs(got - want) <= absolute + relative * abs(want)


def expect(name, got, want, **tolerance):
    """`got` and `want`: rows of numbers."""
    global failed
    wrong = [
        f"  row {i} column {k}: {g}, not {w}"
        for i, (row, wanted) in enumerate(zip(got, want))
        for k, (g, w) in enumerate(zip(row, wanted))
        if not near(g, w, **tolerance)
    ]
    if [len(row) for row in got] != [len(row) for row in want]:
        wrong.append(f"  {len(got)} rows, not {len(want)}, or of another length")
    print(f"{name}: " + ("\n".join(["wrong", *wrong]) if wrong else "ok"))
    failed |= bool(wrong)


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))


def softplus(x):
    return max(x, 0) + math.log1p(math.exp(-abs(x)))


def softmax(row):
    powers = [math.exp(x - max(row)) for x in row]
    return [p / sum(powers) for p in powers]


def activations():
    def phi(x):
        return 0.5 * math.erfc(-x / math.sqrt(2))

    def density(x):
        return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)

    def elu(x, scale, alpha):
        return (scale * x, scale) if x > 0 else (scale * alpha * math.expm1(x), scale * alpha * math.exp(x))

    def mish(x):
        t = math.tanh(softplus(x))
        return x * t, t + x * (1 - t * t) * sigmoid(x)

    def gelu_tanh(x):
        t = math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
        slope = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)
        return 0.5 * x * (1 + t), 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope

    # Each gives the value and the derivative.
    table = {
        "sigmoid": lambda x: (sigmoid(x), sigmoid(x) * sigmoid(-x)),
        "relu": lambda x: (max(x, 0), float(x > 0)),
        "leaky_relu": lambda x: (x, 1) if x > 0 else (0.01 * x, 0.01),
        "leaky_relu_2": lambda x: (x, 1) if x > 0 else (0.2 * x, 0.2),
        "elu": lambda x: elu(x, 1, 1),
        "elu_2": lambda x: elu(x, 1, 0.5),
        "selu": lambda x: elu(x, 1.0507009873554805, 1.6732632423543772),
        "softplus": lambda x: (softplus(x), sigmoid(x)),
        "gelu": lambda x: (x * phi(x), phi(x) + x * density(x)),
        "silu": lambda x: (x * sigmoid(x), sigmoid(x) + x * sigmoid(x) * sigmoid(-x)),
        "mish": mish,
        "hard_sigmoid": lambda x: (min(max(x / 6 + 0.5, 0), 1), 1 / 6 if abs(x) < 3 else 0),
        "relu6": lambda x: (min(max(x, 0), 6), float(0 < x < 6)),
        "celu": lambda x: (x, 1) if x > 0 else (2 * math.expm1(x / 2), math.exp(x / 2)),
        "log_sigmoid": lambda x: (-softplus(-x), sigmoid(-x)),
        "gelu_tanh": gelu_tanh,
        "hard_swish": lambda x: (x, 1) if x > 3 else (0, 0) if x < -3 else (x * (x / 6 + 0.5), x / 3 + 0.5),
        "hard_tanh": lambda x: (min(max(x, -1), 1), float(abs(x) < 1)),
        "softsign": lambda x: (x / (1 + abs(x)), 1 / (1 + abs(x)) ** 2),
        "identity": lambda x: (x, 1),
    }
    for name, reference in table.items():
        expect(name, predict(name, x=POINTS), [reference(x) for x in POINTS])
    expect("step_unit", predict("step_unit", x=POINTS), [[float(x > 0)] for x in POINTS])
    # Numbers from tables, so that a mistake above and in the library cannot agree.
    expect("gelu(1), silu(1)", [[predict(n, x=[1])[0][0] for n in ("gelu", "silu")]], [[0.841345, 0.731059]])

    rows = [[1, 2, 3], [0, 0, 0], [-1, 0.5, 0.25], [1000, -1000, 0], [-1000, -1000, -1000], [1000, 1000, 999]]
    soft = [softmax(row) for row in rows]
    logs = [[x - max(row) - math.log(sum(math.exp(y - max(row)) for y in row)) for x in row] for row in rows]
    expect("softmax", predict("softmax", x=rows), soft)
    expect("softmax of 1, 2, 3", predict("softmax", x=rows)[:1], [[0.090031, 0.244728, 0.665241]])
    got = predict("log_softmax", x=rows)
    expect("log_softmax", got[:3], logs[:3], relative=1e-6)
    # A kernel may add in another order: then the last bit of the largest score is what can be had.
    expect("log_softmax of large scores", got[3:], logs[3:], absolute=1e-4)
    # d/dx of the first component: s0·(δ - s), and δ - s.
    expect("softmax'", predict("softmax_grad", x=rows), [[s[0] * ((k == 0) - s[k]) for k in range(3)] for s in soft])
    expect("log_softmax'", predict("log_softmax_grad", x=rows), [[(k == 0) - s[k] for k in range(3)] for s in soft])


def losses():
    rows = [[1, 2, 3], [0, 0, 0], [-1, 0.5, 0.25], [1000, -1000, 0], [1000, -1000, 0], [1000, 1000, 999]]
    classes = [2, 0, 1, 0, 1, 2]
    largest = [max(row) for row in rows]
    want = [
        [math.log(sum(math.exp(x - m) for x in row)) + (m - row[t])] for row, t, m in zip(rows, classes, largest)
    ]
    got = predict("softmax_xent", x=rows, t=classes)
    expect("softmax_xent", got, want, relative=5e-7)
    expect("softmax_xent of 1, 2, 3 with the last", got[:1], [[0.407606]])
    slopes = [[s - (k == t) for k, s in enumerate(softmax(row))] for row, t in zip(rows, classes)]
    expect("softmax_xent'", predict("softmax_xent_grad", x=rows, t=classes), slopes)

    targets = [k % 3 / 2 for k in range(len(POINTS))]  # 0, 0.5, 1
    want = [[softplus(s) - s * r, sigmoid(s) - r, -s] for s, r in zip(POINTS, targets)]
    expect("bce_logits", predict("bce_logits", s=POINTS, r=targets), want)

    shares = [0.01, 0.25, 0.5, 0.75, 0.99]
    targets = [0, 1, 0.5, 0.25, 1]
    want = [
        [-(r * math.log(y) + (1 - r) * math.log(1 - y)), (y - r) / (y * (1 - y)), math.log(1 - y) - math.log(y)]
        for y, r in zip(shares, targets)
    ]
    expect("bce", predict("bce", y=shares, r=targets), want, relative=1e-5)

    zeros = [0] * len(POINTS)
    pairs = {"y": POINTS, "r": [0.25] * len(POINTS)}
    want = [[(y - 0.25) ** 2, 2 * (y - 0.25), -2 * (y - 0.25)] for y in POINTS]
    expect("squared_error", predict("squared_error", **pairs), want)
    count = len(POINTS)
    expect("mse", predict("mse", **pairs), [[sum(w[0] for w in want) / count]])
    expect("mse'", predict("mse_grad", **pairs), [[w[1] / count] for w in want])
    expect("l1", predict("l1", **pairs), [[sum(abs(y - 0.25) for y in POINTS) / count]])
    expect("l1'", predict("l1_grad", **pairs), [[math.copysign(1 / count, y - 0.25)] for y in POINTS])

    def huber(d, delta):
        if abs(d) <= delta:
            return [0.5 * d * d, d]
        return [delta * (abs(d) - 0.5 * delta), math.copysign(delta, d)]

    expect("huber", predict("huber", y=POINTS, r=zeros), [huber(y, 1) for y in POINTS])
    expect("huber of 0.5, 3", [row[:1] for row in predict("huber", y=[0.5, 3], r=[0, 0])], [[0.125], [2.5]])
    expect("huber, delta 2", predict("huber_2", y=POINTS, r=zeros), [huber(y, 2) for y in POINTS])

    signs = [1 if k % 2 else -1 for k in range(count)]
    scores = [s if s * t != 1 else 0.9 for s, t in zip(POINTS, signs)]  # not where the slope jumps
    want = [[max(0, 1 - t * s), -t if t * s < 1 else 0] for s, t in zip(scores, signs)]
    expect("hinge", predict("hinge", s=scores, t=signs), want)

    def shares(row):
        return [x - max(row) - math.log(sum(math.exp(y - max(row)) for y in row)) for x in row]

    want = []
    for row, t in zip(rows, classes):
        logs = shares(row)
        aim = [0.7 * (k == t) + 0.1 for k in range(3)]
        want.append([-sum(a * p for a, p in zip(aim, logs)), *(math.exp(p) - a for a, p in zip(aim, logs))])
    got = predict("smoothed_xent", x=rows, t=classes)
    expect("smoothed_xent", got[:3], want[:3])
    expect("smoothed_xent of large scores", got[3:], want[3:], absolute=1e-4) # the last bit of the largest score, as above
    truth = [[0.2, 0.3, 0.5], [1, 0, 0], [0.5, 0.5, 0], [1, 0, 0], [0.25, 0.25, 0.5], [0, 0.5, 0.5]]
    want = []
    for row, aim in zip(rows, truth):
        logs = shares(row)
        want.append([sum(r * (math.log(r) - p) for r, p in zip(aim, logs) if r > 0),
                     *(math.exp(p) - r for r, p in zip(aim, logs)),
                     *(math.log(r) + 1 - p if r > 0 else 0 for r, p in zip(aim, logs))])
    got = predict("kl_divergence", x=rows, r=truth)
    expect("kl_divergence", got[:3], want[:3])
    expect("kl_divergence of large scores", got[3:], want[3:], absolute=1e-4)

    def focal(s, r):
        right, weight = (s, 0.25) if r else (-s, 0.75) # the score of the true one
        q, cost = sigmoid(right), softplus(-right)
        slope = -2 * (1 - q) * q * (1 - q) * cost - (1 - q) ** 3
        return weight * (1 - q) ** 2 * cost, weight * slope * (1 if r else -1)

    targets = [k % 2 for k in range(count)]
    expect("focal", predict("focal", s=POINTS, r=targets), [focal(s, r) for s, r in zip(POINTS, targets)], relative=5e-6)
    expect("focal of 0", predict("focal", s=[0], r=[1]), [[0.25 * 0.25 * math.log(2), -0.25 * (0.25 * math.log(2) + 0.125)]])
    a, p, n = [[0, 0], [1, 2], [3, -1]], [[1, 0], [1, 2], [0, 0]], [[0, 1], [4, 4], [3, 0]]
    # 1 - 1 + 0.5; 0 - 13 + 0.5; 10 - 1 + 0.5. Where the loss is not 0 the gradient is 2(n - p).
    expect("triplet", predict("triplet", a=a, p=p, n=n), [[0.5, -2, 2], [0, 0, 0], [9.5, 6, 0]])
    x, y = [[3, 4], [1, 0], [0, 2]], [[4, 3], [0, 5], [0, -1]]
    # The gradient is y / (|x||y|) - c·x / |x|².
    want = [[0.96, 0.16 - 0.96 * 0.12, 0.12 - 0.96 * 0.16], [0, 0, 1], [-1, 0, 0]]
    expect("cosine_similarity", predict("cosine_similarity", x=x, y=y), want)
    expect("cosine_similarity of zeros", [row[:1] for row in predict("cosine_similarity", x=[[0, 0]], y=[[1, 1]])], [[0]])


def metrics():
    rows = [[1, 2, 3], [3, 2, 1], [5, 5, 5], [-1000, 1000, 1000], [-3, -2, -1]]
    truth = [2, 0, 1, 1, 0]
    expect("classify", predict("classify", x=rows), [[2], [0], [0], [1], [2]])
    expect("correct", predict("correct", x=rows, t=truth), [[1], [1], [0], [1], [0]])
    expect("accuracy", predict("accuracy", x=rows, t=truth), [[0.6]])
    values = [-5, -0.9, -0.5, -0.2, 0.1, 0.6, 0.99, 7]
    expect("histogram", predict("histogram", x=values), [[2 / 8, 2 / 8, 1 / 8, 3 / 8]])
    scores, truth = [0.1, 0.4, 0.35, 0.8, 0.4], [0, 0, 1, 1, 1]
    pairs = [(p > q) + 0.5 * (p == q) for p, y in zip(scores, truth) for q, z in zip(scores, truth) if y > z]
    expect("auc", predict("auc", x=scores, y=truth), [[sum(pairs) / len(pairs)]])
    taken, truth = [0, 1, 2, 2, 2, 1, 0], [0, 1, 2, 2, 1, 0, 2]
    table = [[sum(t == i and c == j for c, t in zip(taken, truth)) for j in range(3)] for i in range(3)]
    expect("confusion", predict("confusion", x=taken, t=truth), [sum(table, [])])
    expect("precision, recall, f1", predict("rates", x=taken, t=truth), [[2 / 3, 2 / 3, 2 / 3]])
    scores, gains = [[4, 3, 2, 1], [1, 2, 3, 4], [1, 1, 1, 1]], [[0, 3, 1, 2], [0, 0, 0, 0], [2, 0, 1, 3]]

    def gain(order):
        return sum((2**g - 1) / math.log2(place + 2) for place, g in enumerate(order[:2]))

    want = [[gain([0, 3]) / gain([3, 2])], [0], [gain([2, 0]) / gain([3, 2])]]
    expect("ndcg", predict("ndcg", x=scores, y=gains), want)


def tensors():
    rows = [[10 * k for k in range(6)], [-k for k in range(6)], [0.5] * 6, [1000, -1000, 0, 0, 1e-3, 7]]
    total = sum(map(sum, rows))
    expect("sq", predict("sq", x=rows), [[x * x for x in row] for row in rows])
    expect("sum, mean", predict("totals", x=rows), [[total, total / 24]])
    # flatten(x)[n, k] = x[n, k / 3, k % 3]; the program gave each element its place.
    expect("flatten", predict("flatten", x=rows), [[100 * n + 10 * (k // 3) + k % 3 for k in range(6)] for n in range(4)])
    expect("dropout outside of training", predict("dropout", x=rows), rows)


def schedules():
    times = [1, 2, 5, 6, 10, 11, 100]

    def cosine(t, peak, steps, floor):
        return floor + (peak - floor) * 0.5 * (1 + math.cos(math.pi * min((t - 1) / steps, 1)))

    def one_cycle(t):
        x = min((t - 1) / 20, 1)
        low, part = (0.5 / 25, x / 0.3) if x < 0.3 else (0.5 / 1e4, (1 - x) / 0.7)
        return low + (0.5 - low) * 0.5 * (1 - math.cos(math.pi * part))

    want = [
        [cosine(t, 0.5, 10, 0), cosine(t, 2, 5, 0.25), 0.1 * 0.1 ** ((t - 1) // 5), 3 * 0.5 ** ((t - 1) // 2)]
        + [0.9 ** (t - 1), 0.3 * min(t / 10, 1), 1.5, one_cycle(t), 0.9 ** (t - 1) * min(t / 8, 1)]
        for t in times
    ]
    expect("schedules", predict("schedules", t=times), want, relative=1e-5, absolute=2e-7)


def initializers():
    # Mean, variance, smallest and largest of 50,000 draws: within 5 standard deviations of these.
    count = 50_000

    def draws(name, mean, variance, low, high, fourth):
        """`fourth`: the fourth central moment over the squared variance, 3 for a normal distribution, 1.8 for a uniform."""
        ((m, v, smallest, largest),) = predict(name)
        sure = 5 / math.sqrt(count)
        expect(f"{name}: mean", [[m]], [[mean]], relative=0, absolute=sure * math.sqrt(variance) + 1e-6)
        expect(f"{name}: variance", [[v]], [[variance]], relative=sure * math.sqrt(fourth - 1) + 1e-4)
        ok = low <= smallest < largest <= high
        expect(f"{name}: range", [[float(ok)]], [[1]])

    def normal(name, mean, deviation):
        # The largest of that many normal draws lies between 3.5 and 6.5 deviations out, practically always.
        draws(name, mean, deviation**2, mean - 6.5 * deviation, mean + 6.5 * deviation, 3)
        ((_, _, smallest, largest),) = predict(name)
        far = min(largest - mean, mean - smallest) / deviation
        expect(f"{name}: tails", [[float(far > 3.5)]], [[1]])

    for name, value in {"zeros": 0, "ones": 1, "constant": -2.5}.items():
        expect(name, predict(name), [[value, value]], relative=0, absolute=0)
    normal("normal", 0, 1)
    normal("normal_2", 3, 0.5)
    normal("he", 0, math.sqrt(2 / 50))
    normal("glorot_normal", 0, math.sqrt(2 / 80))
    normal("lecun", 0, math.sqrt(1 / 50))
    draws("uniform", 0.5, 1 / 12, 0, 1, 1.8)
    draws("uniform_2", 1, 36 / 12, -2, 4, 1.8)
    limit = math.sqrt(6 / 80)
    draws("glorot", 0, limit**2 / 3, -limit, limit, 1.8)
    p = 0.3
    draws("bernoulli", p, p * (1 - p), 0, 1, (1 - 3 * p * (1 - p)) / (p * (1 - p)))


def optimizers():
    def sgd(lr):
        return lambda x, g, t, s: x - (lr(t) if callable(lr) else lr) * g

    def momentum(x, g, t, s):
        s["v"] = 0.9 * s.get("v", 0) + g
        return x - 0.01 * s["v"]

    def nesterov(x, g, t, s):
        s["v"] = 0.8 * s.get("v", 0) + g
        return x - 0.01 * (g + 0.8 * s["v"])

    def adagrad(x, g, t, s):
        s["a"] = s.get("a", 0) + g * g
        return x - 0.1 * g / (math.sqrt(s["a"]) + 1e-10)

    def rmsprop(x, g, t, s):
        s["a"] = 0.9 * s.get("a", 0) + 0.1 * g * g
        return x - 0.02 * g / (math.sqrt(s["a"]) + 1e-8)

    def adam(decay):
        def update(x, g, t, s):
            s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
            s["v"] = 0.999 * s.get("v", 0) + 0.001 * g * g
            d = (s["m"] / (1 - 0.9**t)) / (math.sqrt(s["v"] / (1 - 0.999**t)) + 1e-8)
            return x - 0.03 * (d + decay * x)

        return update

    def adadelta(x, g, t, s):
        s["a"] = 0.9 * s.get("a", 0) + 0.1 * g * g
        d = g * math.sqrt(s.get("b", 0) + 1e-4) / math.sqrt(s["a"] + 1e-4)
        s["b"] = 0.9 * s.get("b", 0) + 0.1 * d * d
        return x - d

    def lion(x, g, t, s):
        c = 0.9 * s.get("m", 0) + 0.1 * g
        s["m"] = 0.99 * s.get("m", 0) + 0.01 * g
        return x - 0.02 * ((c > 0) - (c < 0) + 0.1 * x)

    def lamb(x, g, t, s):
        s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
        s["v"] = 0.999 * s.get("v", 0) + 0.001 * g * g
        d = (s["m"] / (1 - 0.9**t)) / (math.sqrt(s["v"] / (1 - 0.999**t)) + 1e-6) + 0.01 * x
        return x - 0.02 * (abs(x) / abs(d) if x != 0 and d != 0 else 1) * d

    rules = [sgd(0.19), sgd(0.21), momentum, nesterov, adagrad, rmsprop, adam(0), adam(0.1)]
    rules += [sgd(lambda t: 0.05 * 0.9 ** (t - 1)), adadelta, lion, lamb]

    def run(rule, steps):
        x, states = 1, {}
        for t in range(1, steps + 1):
            x = rule(x, 10 * x, t, states)
        return x

    for steps in (1, 2, 100):
        want = [run(rule, steps) for rule in rules]
        # The errors of 32 bits add up, and where x swings around 0 they are not small beside it.
        tolerance = {"relative": 2e-6 * steps, "absolute": 1e-6 if steps < 100 else 3e-5}
        expect(f"{steps} steps", predict("values", f"steps{steps}.ckpt"), [want], **tolerance)
    # Behind the step in which the gradient becomes 0 nothing moves.
    for steps, want in ((1, [0.9, 0.97]), (2, [0.9, 0.94]), (100, [0.9, 0.94])):
        expect(f"lazy: {steps} steps", predict("lazy", f"steps{steps}.ckpt"), [[*want, 1, 2]])
    (first,) = predict("values", "steps1.ckpt")
    expect("adagrad, adam: the first step is lr", [[1 - first[4], 1 - first[6]]], [[0.1, 0.03]])
    (last,) = predict("values", "steps100.ckpt")
    expect("descent with 0.19, 0.21", [last[:2]], [[0.9**100, 1.1**100]], relative=1e-3, absolute=0)


def gradients():
    (row,) = predict("clipped", "steps1.ckpt")
    expect("clip_value, clip_norm", [row[:6]], [[-3, 4, -5, -1.5, 2, -6]])
    expect("clip_global_norm", [row[6:]], [[-0.3, 0.4, -1.2, 0, -8.4, 0]])
    values, average = [-3 * t for t in range(1, 7)], 0
    for value in values:
        average = 0.5 * average + 0.5 * value
    want = [values[-1], average, values[3], sum(values) / 6]
    expect("ema, copy_every, mean_of_all", predict("followers", "steps6.ckpt"), [want])
    # Two steps an epoch. The loss never improves on that of the first epoch, so the second one ends with a plateau.
    want = [-3 * (2 * 0.5 + 2 * 0.05 + 2 * 0.005), -3 * (4 * 0.5 + 2 * 0.05)]
    expect("by_epoch, reduce_on_plateau", predict("schedules", "steps6.ckpt"), [want])


def dropout():
    (one,), (two,) = predict("values", "steps1.ckpt"), predict("values", "steps2.ckpt")
    count = len(one)
    factors = sorted(set(one))
    expect("what is added", [factors], [[1, 1 + 1 / 0.75]])
    deviation = math.sqrt(0.25 * 0.75 / count)
    share = sum(x == 1 for x in one) / count
    expect("share of zeros", [[share]], [[0.25]], relative=0, absolute=5 * deviation)
    # Two steps of independent draws zero an element twice with probability 1/16.
    share = sum(x == 1 for x in two) / count
    expect("zeros in both steps", [[share]], [[1 / 16]], relative=0, absolute=5 * deviation)
    # No dependence of neighbours.
    pairs = sum(a == 1 and b == 1 for a, b in zip(one, one[1:])) / (count - 1)
    expect("zeros side by side", [[pairs]], [[1 / 16]], relative=0, absolute=5 * deviation)


def dense():
    rows = [[1, 2, 3], [0, 0, 0], [-1, 0.5, 100], [-1, -2, -3]]
    weights = [[k + 10 * o for o in range(2)] for k in range(3)]

    def affine(row, bias):
        return [sum(x * w[o] for x, w in zip(row, weights)) + bias for o in range(2)]

    expect("with bias", predict("plain", "a.ckpt", x=rows), [affine(row, 1) for row in rows])
    expect("without", predict("bare", "a.ckpt", x=rows), [[max(0, y) for y in affine(row, 0)] for row in rows])
    pairs = [a + b for a, b in zip(rows, reversed(rows))]
    expect("three dimensions", predict("deep", "a.ckpt", x=pairs), [affine(p[:3], 1) + affine(p[3:], 1) for p in pairs])


def recurrent():
    inputs, width, steps = 2, 3, 4

    def weights(name, gates):
        """wx[i][g][k], wh[j][g][k] and the biases behind them, flat."""
        flat = predict(name, "a.ckpt", x=[1])[0]
        size = gates * width
        cut = [flat[r * size : (r + 1) * size] for r in range(inputs + width)]
        split = [[row[g * width : (g + 1) * width] for g in range(gates)] for row in cut]
        return split[:inputs], split[inputs:], flat[(inputs + width) * size :]

    def run(cell, row, backward=False):
        """The flat outputs in the order of the steps; cell: (input, h, c) to (h, c)."""
        h, c, out = [0.0] * width, [0.0] * width, {}
        order = range(steps - 1, -1, -1) if backward else range(steps)
        for t in order:
            h, c = cell(row[t * inputs : (t + 1) * inputs], h, c)
            out[t] = h
        return [out[t] for t in range(steps)]

    def product(values, matrix, g, k):
        return sum(v * row[g][k] for v, row in zip(values, matrix))

    def rnn(w, act):
        wx, wh, b = w
        return lambda x, h, c: ([act(product(x, wx, 0, k) + product(h, wh, 0, k) + b[k]) for k in range(width)], c)

    def lstm(w):
        wx, wh, b = w

        def cell(x, h, c):
            z = [[product(x, wx, g, k) + product(h, wh, g, k) + b[g * width + k] for k in range(width)] for g in range(4)]
            c = [sigmoid(z[1][k] + 1) * c[k] + sigmoid(z[0][k]) * math.tanh(z[2][k]) for k in range(width)]
            return [sigmoid(z[3][k]) * math.tanh(c[k]) for k in range(width)], c

        return cell

    def gru(w):
        wx, wh, b = w

        def cell(x, h, c):
            xs = [[product(x, wx, g, k) + b[g * width + k] for k in range(width)] for g in range(3)]
            hs = [[product(h, wh, g, k) + (b[9 + k] if g == 2 else 0) for k in range(width)] for g in range(3)]
            r = [sigmoid(xs[0][k] + hs[0][k]) for k in range(width)]
            u = [sigmoid(xs[1][k] + hs[1][k]) for k in range(width)]
            n = [math.tanh(xs[2][k] + r[k] * hs[2][k]) for k in range(width)]
            return [(1 - u[k]) * n[k] + u[k] * h[k] for k in range(width)], c

        return cell

    def flat(states):
        return [v for state in states for v in state]

    rows = [[1, 2, 3, 4, 5, 6, 7, 8], [-1, 0.5, 0, 2, -0.5, 1, 0.3, 0.1]]
    for name, cell, backward in [
        ("rnn", rnn(weights("rnn_w", 1), math.tanh), False),
        ("back", rnn(weights("back_w", 1), math.sin), True),
        ("lstm", lstm(weights("lstm_w", 4)), False),
        ("gru", gru(weights("gru_w", 3)), False),
    ]:
        expect(name, predict(name, "a.ckpt", x=rows), [flat(run(cell, row, backward)) for row in rows])
    ahead, behind = lstm(weights("forward_w", 4)), lstm(weights("backward_w", 4))
    want = [flat(a + b for a, b in zip(run(ahead, row), run(behind, row, True))) for row in rows]
    expect("both", predict("both", "a.ckpt", x=rows), want)
    identity = [float(i == j) for i in range(3) for j in range(3)]
    expect("orthogonal", predict("orthogonal", "a.ckpt", x=[1]), [identity * 2 + [1, 0, 0, 1]])
    # (3, 0, 4) and (1, 1, 0) less its part along the first, (3/5, 0, 4/5): (16, 25, -12) / 25.
    length = math.sqrt(16**2 + 25**2 + 12**2)
    want = [0.6, 0, 0.8, 16 / length, 25 / length, -12 / length]
    expect("orthonormal_rows", predict("orthonormal", "a.ckpt", x=[[3, 0, 4, 1, 1, 0]]), [want])

    def cells(row):
        start = [0.5 * row[0], 0.5 * row[1]]
        c = [sigmoid(row[2 + k] + 1) * start[k] + sigmoid(row[k]) * math.tanh(row[4 + k]) for k in range(2)]
        h = [sigmoid(row[6 + k]) * math.tanh(c[k]) for k in range(2)]
        r, u = ([sigmoid(row[2 * g + k] + row[7 - 2 * g - k]) for k in range(2)] for g in range(2))
        n = [math.tanh(row[4 + k] + r[k] * row[3 - k]) for k in range(2)]
        return h + c + [(1 - u[k]) * n[k] + u[k] * start[k] for k in range(2)]

    expect("cells", predict("cells", "a.ckpt", x=rows), [cells(row) for row in rows])
    want = [0.537050, 0.029631, 0.470808, -0.520679, 0.417608, -1.521426]
    expect("two steps", predict("two_steps", "a.ckpt", x=[[1, -1]]), [want])


globals()[sys.argv[2]]()
sys.exit(failed)
