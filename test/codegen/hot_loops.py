"""Reads assembly of contractions, as `kernel_property --assembly` prints it, and looks at the hot loops: the innermost
ones with fused multiply-adds of vectors. Scalar arithmetic or accumulators in memory there is an error, and so is a
kernel without any such loop."""

import re
import sys

LABEL = re.compile(r"^(\.LBB\w+):")
JUMP = re.compile(r"^\s+j\w+\s+(\.LBB\w+)")
PACKED = re.compile(r"^\s+vfn?madd\d+p[sd]\s")
SCALAR = re.compile(r"^\s+v?(mul|add|sub|fn?madd\d+|fn?msub\d+)s[sd]\s")
# With a second register it is an array there: a small copy of an operand.
STACK = re.compile(r"^\s+v\w+\s.*\(%rsp\)")
FRAME = re.compile(r"^\s+v\w+\s.*\(%rbp\)")


def innermost_loops(lines):
    position, ends = {}, []
    for number, line in enumerate(lines):
        if label := LABEL.match(line):
            position[label.group(1)] = number
        elif (jump := JUMP.match(line)) and jump.group(1) in position:
            ends.append((position[jump.group(1)], number))
    for start, end in ends:
        if not any(start <= s and e <= end and (s, e) != (start, end) for s, e in ends):
            yield start, lines[start : end + 1]


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
