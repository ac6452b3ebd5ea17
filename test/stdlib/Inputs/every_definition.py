"""Looks up each definition of STDLIB in the programs of TESTS. usage: every_definition.py STDLIB TESTS"""

import pathlib
import re
import sys

library, tests = map(pathlib.Path, sys.argv[1:])
names = [
    (name, file.name)
    for file in sorted(library.glob("*.dnn"))
    for name in re.findall(r"^(?:fn|layer|optimizer) (\w+)", file.read_text(), re.M)
]
# Calls and uses as a value; a prediction of the same name is none.
used = set()
for test in [*tests.glob("*.dnn"), *tests.glob("*.test")]:
    used |= set(re.findall(r"\w+", re.sub(r"#.*|RUN:.*|predict \w+", "", test.read_text())))
missing = [f"{file}: no test uses {name}" for name, file in names if name not in used]
print("\n".join(missing) or "every definition is used by a test")
sys.exit(bool(missing))
