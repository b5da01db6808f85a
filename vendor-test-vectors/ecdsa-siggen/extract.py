#!/usr/bin/env python3
"""Selects the cases of siggen.txt from NIST's CAVS example file.

Usage: extract.py FILE, the file FIPS_186-3/SigGen.txt of the package cryptography-vectors.
"""

import pathlib
import sys

SECTIONS = {"[P-256,SHA-256]": "P-256", "[P-384,SHA-384]": "P-384"}
NAMES = {"Msg": "msg", "d": "d", "k": "k", "R": "r", "S": "s"}


def select(source):
    curve, out = None, []
    for line in source.read_text().splitlines():
        if line.startswith("["):
            curve = SECTIONS.get(line.strip())
            if curve:
                out.append(f"\ncurve = {curve}")
        name, _, value = (part.strip() for part in line.partition("="))
        if curve and name in NAMES:
            out.append(f"{NAMES[name]} = {value}")
    return "\n".join(out).lstrip() + "\n"


if __name__ == "__main__":
    target = pathlib.Path(__file__).parent / "siggen.txt"
    target.write_text(select(pathlib.Path(sys.argv[1])))
