# SPDX-License-Identifier: MIT
run 0 "$model" $calib -target=x86-64 -o x.o -report=r.json
if command -v python3 >/dev/null; then
	python3 - <<'EOF' || fail "the report's numbers are wrong"
import json, os
r = json.load(open("r.json"))
o = r["object"]
assert o["bytes"] == os.path.getsize("x.o"), o
assert f'WORKSPACE_BYTES {o["workspace_bytes"]}u' in open("x.h").read(), o
assert o["macs"] == sum(k["macs"] for k in r["kernels"]), o
assert o["integer_macs"] == sum(k["macs"] for k in r["kernels"] if k["integer"]), o
assert r["scheme"] == "w8a8" and r["sites"]
EOF
fi
run 0 "$model" $calib -target=x86-64 -o x.o -report=-
prints "scheme     w8a8" "workspace" "kernels"
run 0 "$model" $calib -target=x86-64 -o x.o -Werror=float-fallback
run 1 "$root/tests/cli/small.vir" -calib-stats=absent.json -o y.o
says "absent.json"
absent y.o
