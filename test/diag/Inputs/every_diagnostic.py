"""Looks up the name of each row of compiler/diag/*.def in the tests. usage: every_diagnostic.py SOURCE_DIR"""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
names = []
for table in sorted((root / "compiler/diag").glob("*.def")):
    names += [(name, table.name) for name in re.findall(r"^DIAG\((\w+),", table.read_text(), re.M)]
kinds = {".dnn", ".test", ".cpp", ".py", ".dnir"}
files = [f for f in (root / "test").rglob("*") if f.suffix in kinds and f.is_file() and "corpus" not in f.parts]
words = set()
for file in files:
    words |= set(re.findall(r"\w+", file.read_text(errors="replace")))
missing = [f"{table}: no test expects {name}" for name, table in names if name not in words]
print("\n".join(missing) or "every diagnostic is expected by a test")
sys.exit(1 if missing else 0)
