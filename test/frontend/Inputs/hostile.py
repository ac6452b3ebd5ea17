"""Feeds dnnc with texts that break careless parsers; prints for each its name, the exit code and which of the expected
words was found. usage: hostile.py DNNC FOLDER"""
import pathlib
import subprocess
import sys

dnnc, folder = sys.argv[1], pathlib.Path(sys.argv[2])
cases = [
    ("dashes", b"const a = " + b"-" * 100000 + b"1", "nested_too_deep"),
    ("parentheses", b"const a = " + b"(" * 100000 + b"1", "nested_too_deep"),
    ("ifs", b"const a = " + b"if b then " * 100000, "nested_too_deep"),
    ("else ifs", b"const a = " + b"if b then 1 else " * 100000 + b"1", "nested_too_deep"),
    ("blocks", b"fn f(x: f32) -> f32 { " + b"when a { " * 100000, "nested_too_deep"),
    ("scans", b"const a = " + b"scan t: T with h = " * 100000, "nested_too_deep"),
    ("reducers", b"const a = " + b"sum[i] " * 100000 + b"1", "nested_too_deep"),
    ("prefixes", b"const a = " + b"- - not " * 100000 + b"1", "nested_too_deep"),
    ("sum of 100000", b"const a = 1" + b"+a" * 100000, "expression_too_long"),
    ("100000 calls", b"const a = f" + b"()" * 100000, "expression_too_long"),
    ("100000 members", b"const a = f" + b".g" * 100000, "expression_too_long"),
    ("many tokens", b"const a = " + b"x " * 1000000, "too_many_tokens"),
    ("not utf-8", b"const a = \xff", "not_utf8"),
    ("overlong form", b"const a = 1 # \xc0\x80", "not_utf8"),
    ("surrogate", b"const a = 1 # \xed\xa0\x80", "not_utf8"),
    ("zero byte", b"const a = \0", "nul_byte"),
    ("closers", b"}" * 100000, "unopened"),
    ("megabyte line", b"const a = " + b"b" * 1000000 + b" $", "unknown_character"),
    ("half a megabyte of characters", "ä".encode() * 250000, "unknown_character"),
    ("nine megabytes", b"a" * (9 << 20), "it is larger than 8 MiB"),
]
for name, text, _ in cases:
    (folder / f"{name}.dnn").write_bytes(text)
(folder / "a folder.dnn").mkdir(exist_ok=True)
expected = {name: word for name, _, word in cases} | {"a folder": "it is a folder", "missing": "No such file"}
for name, word in expected.items():
    done = subprocess.run([dnnc, "check", folder / f"{name}.dnn"], capture_output=True, timeout=120)
    output = (done.stdout + done.stderr).decode()  # what dnnc prints is UTF-8, whatever it read
    longest = max(len(line) for line in output.splitlines())
    print(f"{name}: {done.returncode} {word if word in output else output[:300]}" + (" in a long line" if longest > 400 else ""))
