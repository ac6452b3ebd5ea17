"""ResNet-20 with batch norm, images of CIFAR's shape, softmax cross-entropy, SGD with momentum."""


def data(torch, batch):
    torch.manual_seed(1)
    return torch.rand(batch, 3, 32, 32).contiguous(memory_format=torch.channels_last), torch.randint(0, 10, (batch,))


def blocks():
    """Input channels, channels and stride of each residual block."""
    found = []
    for stage, width in enumerate((16, 32, 64)):
        for block in range(3):
            first = stage > 0 and block == 0
            found.append((width // 2 if first else width, width, 2 if first else 1))
    return found


def make(torch, batch=128):
    x, y = data(torch, batch)
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self, channels, width, stride):
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(channels, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
                                      nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width))
            self.short = nn.Identity() if channels == width else nn.Sequential(
                nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))

        def forward(self, x):
            return torch.relu(self.body(x) + self.short(x))

    net = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
                        *(Block(*block) for block in blocks()), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    net = net.to(memory_format=torch.channels_last)
    loss = nn.functional.cross_entropy
    return net, lambda: loss(net(x), y), torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, fused=True)


def one_graph(torch, batch=128):
    """Gradient and update as one function of tensors, for torch.compile."""
    x, y = data(torch, batch)
    functional = torch.nn.functional
    params, running = [], []

    def norm_of(width):
        params.extend([torch.ones(width), torch.zeros(width)])
        running.extend([torch.zeros(width), torch.ones(width)])

    def conv_of(channels, width, size):
        weight = torch.randn(width, channels, size, size) / (channels * size * size) ** 0.5
        params.append(weight.contiguous(memory_format=torch.channels_last))
        norm_of(width)

    conv_of(3, 16, 3)
    for channels, width, _ in blocks():
        conv_of(channels, width, 3)
        conv_of(width, width, 3)
        if channels != width:
            conv_of(channels, width, 1)
    params.extend([torch.randn(10, 64) / 8, torch.zeros(10)])
    moments = [torch.zeros_like(p) for p in params]

    def loss(*params):
        params, states = iter(params), iter(running)

        def unit(x, stride=1, pad=1):
            h = functional.conv2d(x, next(params), None, stride, pad)
            return functional.batch_norm(h, next(states), next(states), next(params), next(params), True)

        h = torch.relu(unit(x))
        for channels, width, stride in blocks():
            body = unit(torch.relu(unit(h, stride)))
            h = torch.relu(body + (h if channels == width else unit(h, stride, 0)))
        scores = functional.linear(h.mean((2, 3)), next(params), next(params))
        return functional.cross_entropy(scores, y)

    def step(*state):
        params, moments = state[:len(state) // 2], state[len(state) // 2:]
        grads, value = torch.func.grad_and_value(loss, argnums=tuple(range(len(params))))(*params)
        for p, m, g in zip(params, moments, grads):
            m.mul_(0.9).add_(g)
            p.sub_(m, alpha=0.01)
        return value

    return step, params + moments
