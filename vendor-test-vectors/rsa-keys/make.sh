#!/bin/sh
# Makes new test keys in this directory. Needs openssl 3 and python3.
set -eu
cd "$(dirname "$0")"
rsa() { openssl genpkey -algorithm RSA -out "$@"; }

rsa rsa2048.pkcs8.pem -pkeyopt rsa_keygen_bits:2048
openssl rsa -traditional -in rsa2048.pkcs8.pem -out rsa2048.pkcs1.pem
rsa rsa3072.pkcs8.pem -pkeyopt rsa_keygen_bits:3072
rsa rsa4096.pkcs8.pem -pkeyopt rsa_keygen_bits:4096
rsa rsa2048-e3.pkcs8.pem -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3
openssl genrsa -traditional -out rsa8192.pkcs1.pem 8192
openssl genrsa -traditional -primes 3 -out rsa2048-multiprime.pkcs1.pem 2048
openssl genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out rsa2048-pss-oid.pkcs8.pem
openssl pkcs8 -topk8 -v2 aes-256-cbc -passout pass:secret -in rsa2048.pkcs8.pem -out rsa2048-encrypted.pkcs8.pem
openssl rsa -traditional -aes128 -passout pass:secret -in rsa2048.pkcs8.pem -out rsa2048-encrypted.pkcs1.pem
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out p256.pkcs8.pem
openssl ecparam -name prime256v1 -genkey -out p256.sec1.pem

# make NAME P Q N: a key of primes of P and Q bits and a modulus of N bits that openssl does not make itself.
make() {
    python3 - "$2" "$3" "$4" > key.cnf <<'PYTHON'
import subprocess
import sys

E = 65537
P, Q, N = map(int, sys.argv[1:])


def prime(bits):
    while True:
        text = subprocess.check_output(["openssl", "prime", "-generate", "-bits", str(bits)], text=True)
        if (int(text) - 1) % E:
            return int(text)


p, q = prime(P), prime(Q)
while (p * q).bit_length() != N:
    p, q = prime(P), prime(Q)
d = pow(E, -1, (p - 1) * (q - 1))
numbers = [0, p * q, E, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p)]
print("asn1 = SEQUENCE:key\n[key]")
for i, number in enumerate(numbers):
    print(f"n{i} = INTEGER:{number:#x}")
PYTHON
    openssl asn1parse -genconf key.cnf -out key.der -noout
    openssl rsa -traditional -in key.der -out "$1"
    rm key.cnf key.der
}
make rsa2049.pkcs1.pem 1025 1024 2049
make rsa2048-unbalanced.pkcs1.pem 1152 896 2048

# Keys whose numbers all have one length each, however they are encoded.
n=1
while [ $n -le 4 ]; do
    openssl genrsa -traditional -out key.pem 2048
    lengths=$(openssl asn1parse -in key.pem | sed -n 's/.* l= *\([0-9]*\) prim.*/\1/p' | tr '\n' ' ')
    [ "$lengths" = "1 257 3 256 129 129 128 128 128 " ] || continue
    mv key.pem rsa2048-equal-$n.pkcs1.pem
    n=$((n + 1))
done
rm -f key.pem
