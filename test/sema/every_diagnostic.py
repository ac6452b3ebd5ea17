"""Fails with the names of the diagnostics that no test expects. usage: every_diagnostic.py LIST.def TEST_DIR"""
import pathlib
import re
import sys

names = re.findall(r"^DIAG\((\w+)", pathlib.Path(sys.argv[1]).read_text(), re.M)
tests = "\n".join(p.read_text() for p in pathlib.Path(sys.argv[2]).rglob("*") if p.suffix in (".dnn", ".test"))
missing = [name for name in names if f"[{name}]" not in tests]
sys.exit("no test expects: " + ", ".join(missing) if missing else 0)
