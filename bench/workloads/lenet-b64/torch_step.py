"""LeNet-5 with 6 and 16 channels, softmax cross-entropy, SGD with momentum."""


def data(torch, batch):
    torch.manual_seed(1)
    return torch.rand(batch, 1, 28, 28), torch.randint(0, 10, (batch,))


def make(torch, batch=64):
    x, y = data(torch, batch)
    nn = torch.nn
    net = nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
                        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
                        nn.Linear(84, 10))
    loss = nn.functional.cross_entropy
    return net, lambda: loss(net(x), y), torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, fused=True)


def one_graph(torch, batch=64):
    """Gradient and update as one function of tensors, for torch.compile."""
    x, y = data(torch, batch)
    functional = torch.nn.functional
    shapes = [(6, 1, 5, 5), (6,), (16, 6, 5, 5), (16,), (120, 400), (120,), (84, 120), (84,), (10, 84), (10,)]
    params = [torch.randn(shape) / 10 for shape in shapes]
    moments = [torch.zeros(shape) for shape in shapes]

    def loss(w1, b1, w2, b2, w3, b3, w4, b4, w5, b5):
        h = functional.max_pool2d(torch.relu(functional.conv2d(x, w1, b1, padding=2)), 2)
        h = functional.max_pool2d(torch.relu(functional.conv2d(h, w2, b2)), 2).flatten(1)
        h = torch.relu(functional.linear(torch.relu(functional.linear(h, w3, b3)), w4, b4))
        return functional.cross_entropy(functional.linear(h, w5, b5), y)

    def step(*state):
        params, moments = state[:10], state[10:]
        grads, value = torch.func.grad_and_value(loss, argnums=tuple(range(10)))(*params)
        for p, m, g in zip(params, moments, grads):
            m.mul_(0.9).add_(g)
            p.sub_(m, alpha=0.01)
        return value

    return step, params + moments
