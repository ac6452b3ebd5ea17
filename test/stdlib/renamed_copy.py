"""Writes a copy of a program that has its own standard library under other names: every definition `x` becomes `my_x`.

The compiler must treat both alike. usage: renamed_copy.py STDLIB_DIR PROGRAM.dnn > COPY.dnn
"""
import pathlib
import re
import sys

library = "\n".join(p.read_text() for p in sorted(pathlib.Path(sys.argv[1]).glob("*.dnn")))
program = pathlib.Path(sys.argv[2]).read_text()
names = set(re.findall(r"^(?:fn|layer|optimizer) (\w+)", library, re.M))


def renamed(text):
    """Every use of a library name that is not a reducer (`mean[…]`) and not inside a string."""
    parts = re.split(r'("[^"\n]*"|#[^\n]*)', text)
    for i in range(0, len(parts), 2):
        parts[i] = re.sub(r"\b([A-Za-z_]\w*)\b(?!\s*\[)", lambda m: "my_" + m[1] if m[1] in names else m[1], parts[i])
    return "".join(parts)


print(renamed(library))
print(renamed(program))
