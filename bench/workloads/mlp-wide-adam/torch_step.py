"""784-512-512-10, ReLU, softmax cross-entropy, Adam, batch 128."""
BATCH = 128


def make(torch):
    torch.manual_seed(1)
    x, y = torch.rand(BATCH, 784), torch.randint(0, 10, (BATCH,))
    nn = torch.nn
    net = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    loss = nn.functional.cross_entropy
    return net, lambda: loss(net(x), y), torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)


def one_graph(torch):
    torch.manual_seed(1)
    x, y = torch.rand(BATCH, 784), torch.randint(0, 10, (BATCH,))
    linear = torch.nn.functional.linear
    weights = []
    for out, inner in ((512, 784), (512, 512), (10, 512)):
        weights += [torch.randn(out, inner) * inner**-0.5, torch.zeros(out)]
    n = len(weights)
    state = weights + [torch.zeros_like(w) for w in weights + weights] + [torch.zeros(())]

    def loss(w1, b1, w2, b2, w3, b3):
        hidden = torch.relu(linear(torch.relu(linear(x, w1, b1)), w2, b2))
        return torch.nn.functional.cross_entropy(linear(hidden, w3, b3), y)

    def step(*state):
        params, means, squares, t = state[:n], state[n : 2 * n], state[2 * n : 3 * n], state[3 * n]
        grads, value = torch.func.grad_and_value(loss, argnums=tuple(range(n)))(*params)
        t.add_(1)
        scale1, scale2 = 1 - 0.9**t, 1 - 0.999**t
        for p, m, v, g in zip(params, means, squares, grads):
            m.mul_(0.9).add_(g, alpha=0.1)
            v.mul_(0.999).addcmul_(g, g, value=0.001)
            p.sub_(1e-3 * (m / scale1) / ((v / scale2).sqrt() + 1e-8))
        return value

    return step, state
