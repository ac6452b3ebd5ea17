"""Reads assembly of contractions, as `kernel_property --assembly` prints it, and looks at the hot loops: the innermost
ones with fused multiply-adds of vectors. Scalar arithmetic or accumulators in memory there is an error, and so is a
kernel without any such loop."""

import re
import sys

LABEL = re.compile(r"^(\.LBB\w+):")
JUMP = re.compile(r"^\s+j\w+\s+(\.LBB\w+)")
END = re.compile(r"^\s+(ret|ud2)|^\s+jmp\S*\s+\*")
PACKED = re.compile(r"^\s+vfn?madd\d+p[sd]\s")
SCALAR = re.compile(r"^\s+v?(mul|add|sub|fn?madd\d+|fn?msub\d+)s[sd]\s")
# With a second register it is an array there: a small copy of an operand.
STACK = re.compile(r"^\s+v\w+\s.*\(%rsp\)")
FRAME = re.compile(r"^\s+v\w+\s.*\(%rbp\)")


def blocks_of(lines):
    """The basic blocks of the functions: their first and last line, and the first lines of what may follow each."""
    labels = {label.group(1): number for number, line in enumerate(lines) if (label := LABEL.match(line))}
    jumps = {number: jump.group(1) for number, line in enumerate(lines) if (jump := JUMP.match(line))}
    ends = {number for number, line in enumerate(lines) if END.match(line)}
    starts = sorted({0, *labels.values(), *(n + 1 for n in (*jumps, *ends) if n + 1 < len(lines))})
    following = {}
    for start, after in zip(starts, [*starts[1:], len(lines)]):
        last = after - 1
        falls = after < len(lines) and last not in ends and not re.match(r"^\s+jmp\s", lines[last])
        target = labels.get(jumps.get(last))
        following[start] = (last, [n for n in (after if falls else None, target) if n is not None])
    return following


def innermost_loops(lines):
    """Natural loops without another one inside: where each starts, and the lines of its blocks."""
    blocks = blocks_of(lines)
    before = {start: [s for s, (_, after) in blocks.items() if start in after] for start in blocks}
    loops, state = {}, {}
    for root in blocks:
        path = [(root, iter(blocks[root][1]))] if root not in state else []
        state.setdefault(root, "open")
        while path:
            block, rest = path[-1]
            target = next(rest, None)
            if target is None:
                state[block] = "done"
                path.pop()
            elif state.get(target) == "open":
                body, work = loops.setdefault(target, {target}), [block]
                while work:
                    if (inside := work.pop()) not in body:
                        body.add(inside)
                        work += before[inside]
            elif target not in state:
                state[target] = "open"
                path.append((target, iter(blocks[target][1])))
    for start, body in loops.items():
        if not any(other != start and other in body for other in loops):
            yield start, [line for block in sorted(body) for line in lines[block : blocks[block][0] + 1]]


def has_frame(lines, position):
    """Whether %rbp is the frame of the function around this line, not a pointer like others."""
    for line in reversed(lines[:position]):
        if re.match(r"^\s+movq\s+%rsp, %rbp", line):
            return True
        if re.match(r"^\s+\.type\s", line):
            return False
    return False


def problems_of(lines):
    hot = [(at, loop) for at, loop in innermost_loops(lines) if any(PACKED.match(line) for line in loop)]
    if not hot:
        yield "no loop with fused multiply-adds of vectors"
    for at, loop in hot:
        frame = has_frame(lines, at)
        for line in loop:
            if SCALAR.match(line) or STACK.match(line) or (frame and FRAME.match(line)):
                yield line


def main():
    name, kernels = "", {}
    for line in sys.stdin:
        if line.startswith("# plan "):
            name = line[len("# plan ") :].strip()
            kernels[name] = []
        elif name:
            kernels[name].append(line.rstrip())
    failed = False
    for name, lines in kernels.items():
        problems = list(problems_of(lines))
        for problem in problems:
            print(f"{name}: {problem.strip()}")
        failed |= bool(problems)
    print(f"{len(kernels)} plans, {'problems' if failed else 'no scalar arithmetic and no spills in hot loops'}")
    return 1 if failed or not kernels else 0


sys.exit(main())
