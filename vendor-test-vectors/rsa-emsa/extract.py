#!/usr/bin/env python3
"""Selects the cases of pkcs1.txt and pss.txt from NIST's CAVS example files.

Usage: extract.py DIRECTORY, the FIPS_186-2 directory of the package cryptography-vectors.
"""

import pathlib
import sys

MODULI = ("2048", "3072", "4096")
HASHES = ("SHA256", "SHA384", "SHA512")
CASES = 2  # of each modulus and hash


def select(source):
    taken, key, case, modulus, out = {}, {}, {}, None, []
    for line in source.read_text().splitlines():
        name, _, value = (part.strip() for part in line.strip("[] \t\r").partition("="))
        if name == "mod":
            modulus = value
        elif name in ("n", "e", "d"):
            key[name] = value.lstrip("0")
            if len(key[name]) % 2:
                key[name] = "0" + key[name]
            if name == "d" and modulus in MODULI:
                out.append("".join(f"{k} = {key[k]}\n" for k in ("n", "e", "d")))
        elif name in ("SHAAlg", "Msg", "S", "SaltVal"):
            case[name] = value if name == "SHAAlg" else value.lower()
            if name == "S":
                count = (modulus, case["SHAAlg"])
                if modulus in MODULI and case["SHAAlg"] in HASHES and taken.get(count, 0) < CASES:
                    taken[count] = taken.get(count, 0) + 1
                    names = (("hash", "SHAAlg"), ("msg", "Msg"), ("salt", "SaltVal"), ("sig", "S"))
                    out.append("".join(f"{new} = {case.get(old, '')}".rstrip() + "\n" for new, old in names))
                case = {}
    return "\n".join(out)


def main():
    source, here = pathlib.Path(sys.argv[1]), pathlib.Path(__file__).parent
    (here / "pkcs1.txt").write_text(select(source / "SigGen15_186-2.txt"))
    (here / "pss.txt").write_text(select(source / "SigGenPSS_186-2.txt"))


main()
