"""ResNet-50 with batch norm, images of 224×224, softmax cross-entropy, SGD with momentum."""


def data(torch, batch):
    torch.manual_seed(1)
    return torch.rand(batch, 3, 224, 224).contiguous(memory_format=torch.channels_last), torch.randint(0, 1000, (batch,))


def blocks():
    """Input channels, channels of the middle and stride of each bottleneck block."""
    found, channels = [], 64
    for stage, (width, count) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
        for block in range(count):
            found.append((channels, width, 2 if stage > 0 and block == 0 else 1))
            channels = 4 * width
    return found


def make(torch, batch=8):
    x, y = data(torch, batch)
    nn = torch.nn

    def unit(channels, width, size, stride=1):
        return nn.Conv2d(channels, width, size, stride, size // 2, bias=False), nn.BatchNorm2d(width)

    class Block(nn.Module):
        def __init__(self, channels, width, stride):
            super().__init__()
            self.body = nn.Sequential(*unit(channels, width, 1), nn.ReLU(), *unit(width, width, 3, stride), nn.ReLU(),
                                      *unit(width, 4 * width, 1))
            self.short = nn.Identity() if channels == 4 * width else nn.Sequential(*unit(channels, 4 * width, 1, stride))

        def forward(self, x):
            return torch.relu(self.body(x) + self.short(x))

    net = nn.Sequential(*unit(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1), *(Block(*block) for block in blocks()),
                        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000))
    net = net.to(memory_format=torch.channels_last)
    loss = nn.functional.cross_entropy
    return net, lambda: loss(net(x), y), torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, fused=True)


def one_graph(torch, batch=8):
    """Gradient and update as one function of tensors, for torch.compile."""
    x, y = data(torch, batch)
    functional = torch.nn.functional
    params, running = [], []

    def conv_of(channels, width, size):
        weight = torch.randn(width, channels, size, size) / (channels * size * size) ** 0.5
        params.append(weight.contiguous(memory_format=torch.channels_last))
        params.extend([torch.ones(width), torch.zeros(width)])
        running.extend([torch.zeros(width), torch.ones(width)])

    conv_of(3, 64, 7)
    for channels, width, _ in blocks():
        conv_of(channels, width, 1)
        conv_of(width, width, 3)
        conv_of(width, 4 * width, 1)
        if channels != 4 * width:
            conv_of(channels, 4 * width, 1)
    params.extend([torch.randn(1000, 2048) / 2048 ** 0.5, torch.zeros(1000)])
    moments = [torch.zeros_like(p) for p in params]

    def loss(*params):
        params, states = iter(params), iter(running)

        def unit(x, stride=1):
            weight = next(params)
            h = functional.conv2d(x, weight, None, stride, weight.shape[2] // 2)
            return functional.batch_norm(h, next(states), next(states), next(params), next(params), True)

        h = functional.max_pool2d(torch.relu(unit(x, 2)), 3, 2, 1)
        for channels, width, stride in blocks():
            body = unit(torch.relu(unit(torch.relu(unit(h)), stride)))
            h = torch.relu(body + (h if channels == 4 * width else unit(h, stride)))
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
