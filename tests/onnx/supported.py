# SPDX-License-Identifier: MIT
"""docs/supported-ops.md from the table of importers (vitqc -print-ops), the node cases' results and the list of exceptions."""
import collections
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE = f"{HERE}/../../docs/supported-ops.md"

HEAD = """# Supported ONNX operators

Made by `tests/onnx/node_tests.py`, which fails when it is out of date (`UPDATE=1` rewrites it), from `frontend/onnx_ops.def` and the results of the onnx
package's node cases{version}: {evaluator} of {cases} cases agree in the evaluator, {object} of the {compiled} that compile in objects for x86-64;
`tests/onnx/exceptions.txt` gives the reason for every other one. [onnx.md](onnx.md) says how the operators are read and what is refused.

"Cases" are those of the one operator, "written out" those where it stands beside others. Types are those of the first inputs of cases that agree; 16 and 64 bit floats are
computed in float32, integers of 16 bits and unsigned ones as constants only.

| operator | from set | cases | agree: evaluator | object | written out | types |
|---|---|---|---|---|---|---|
"""

MICROSOFT = """
## com.microsoft

What ONNX Runtime's optimizer and quantizer write. Those with cases are compared with ONNX Runtime itself on random inputs (`ctest -R onnx/contrib`), the others in the tests of quantized models.

| operator | cases |
|---|---|
"""

REASONS = """
## Cases that do not agree

| reason | evaluator | object |
|---|---|---|
"""


def rows(printed):
    """{(domain, operator): first version} of -print-ops."""
    found = {}
    for line in printed.splitlines():
        domain, op, since = re.fullmatch(r"(?:(.*)\.)?(\w+), since opset (\d+)", line).groups()
        key = (domain or "", op)
        found[key] = min(int(since), found.get(key, 99))
    return found


def counts(cases):
    """{operator: [cases, evaluator, object, written out, types]}"""
    table = collections.defaultdict(lambda: [0, 0, 0, [0, 0], set()])
    for case in cases.values():
        good = bool(case["form"]) and not case["evaluator"]
        for op in case["ops"]:
            row = table[op]
            if len(case["ops"]) > 1:
                row[3][0] += 1
                row[3][1] += good
                continue
            row[0] += 1
            row[1] += good
            row[2] += good and "object" in case and case["object"] is None
            if good and case.get("elements"):
                row[4].add(case["elements"])
    return table


def page(printed, cases, listed, contrib, version):
    passed = [c for c in cases.values() if c["form"] and not c["evaluator"]]
    tried = [c for c in passed if "object" in c and not isinstance(c["object"], list)]
    text = HEAD.format(version=f" ({version})", evaluator=len(passed), cases=len(cases), compiled=len(tried),
                       object=sum(c["object"] is None for c in tried))
    table, found = counts(cases), rows(printed)
    for (domain, op), since in sorted(found.items()):
        n, evaluator, compiled, (beside, beside_good), types = table[op]
        if not domain:
            text += f"| {op} | {since} | {n or '-'} | {evaluator if n else '-'} | {compiled if n else '-'} | " \
                    f"{f'{beside_good} of {beside}' if beside else '-'} | {', '.join(sorted(types)) or '-'} |\n"
    text += MICROSOFT
    for (domain, op), since in sorted(found.items()):
        if domain:
            text += f"| {op} | {contrib.get(op) or '-'} |\n"
    text += REASONS
    reasons = {}
    for kind in ("evaluator", "object"):
        for reason in listed[kind].values():
            reasons.setdefault(reason, collections.Counter())[kind] += 1
    refused = collections.Counter(c["refused"] for c in cases.values() if c.get("refused"))
    for reason, n in sorted(reasons.items()):
        text += f"| {reason} | {n['evaluator'] or '-'} | {n['object'] or '-'} |\n"
    for reason, n in sorted(refused.items()):
        text += f"| refused: {reason} | - | {n} |\n"
    return text


def check(text):
    """A problem if the committed page is another; UPDATE=1 writes it."""
    if os.environ.get("UPDATE") == "1":
        with open(PAGE, "w") as f:
            f.write(text)
    try:
        with open(PAGE) as f:
            if f.read() == text:
                return []
    except FileNotFoundError:
        pass
    return ["docs/supported-ops.md is out of date: run the test with UPDATE=1 and commit it"]
