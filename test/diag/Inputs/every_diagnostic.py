"""Looks up the name of each row of compiler/diag/*.def in the tests: as `[name]`, the way it is printed, in a text test,
or as a word in a program of a test. usage: every_diagnostic.py SOURCE_DIR"""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
files = [f for f in (root / "test").rglob("*") if f.is_file() and "corpus" not in f.parts]


def text(*suffixes):
    return "\n".join(f.read_text(errors="replace") for f in files if f.suffix in suffixes)


printed = set(re.findall(r"\[(\w+)\]", text(".dnn", ".test", ".dnir")))
words = set(re.findall(r"\w+", text(".cpp", ".py")))
missing = []
for table in sorted((root / "compiler/diag").glob("*.def")):
    for name in re.findall(r"^DIAG\((\w+),", table.read_text(), re.M):
        if name not in printed and name not in words:
            missing.append(f"{table.name}: no test expects {name}")
print("\n".join(missing) or "every diagnostic is expected by a test")
sys.exit(1 if missing else 0)
