#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Objects must not depend on the compiler that built vitqc. C leaves open in which order the arguments of a call are evaluated, and compilers
differ: two arguments that both add something (a node to a graph, an instruction to a module) would be added in either order. Lists such calls.

    evaluation_order.py FOLDER..."""
import glob
import re
import sys

# what adds to a graph or a module; whatever calls one of them does too
ADDS = re.compile(r"(LLVMBuild(?!er)|LLVMAppend|LLVMAddFunction$|LLVMAddGlobal$|vq_add_|vq_const_|vq_quant_add$|vq_replace$|vq_pack_weights)")
CONSTANTS = {"vq_ci32", "vq_cword", "vq_cf32", "vq_splat_f32"}  # of LLVM: no instruction
NO_CALLS = {"if", "while", "for", "switch", "return", "sizeof", "_Alignas", "_Static_assert"}
CALL = re.compile(r"(?<![\w.>])(\w+)\s*\(")
BLANK = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
FUNCTION = re.compile(r"^(static )?(?!\s|#|typedef|struct|enum|union|extern)[^\n;={}]*?\b(\w+)\([^;{}]*?\)\s*\{", re.M)


def closing(text, at):
    """Where the bracket at AT closes."""
    depth = 0
    for i in range(at, len(text)):
        depth += (text[i] in "([{") - (text[i] in ")]}")
        if depth == 0:
            return i
    return len(text)


def arguments(text, at):
    end, depth, start, parts = closing(text, at), 0, at + 1, []
    for i in range(at, end):
        depth += (text[i] in "([{") - (text[i] in ")]}")
        if text[i] == "," and depth == 1:
            parts.append(text[start:i])
            start = i + 1
    return parts + [text[start:end]]


def main(folders):
    body = {}  # (file or None for what all files see, function): file, offset, text
    texts = {}
    for name in sorted(f for folder in folders for f in glob.glob(f"{folder}/**/*.c", recursive=True)):
        text = texts[name] = BLANK.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), open(name, encoding="utf-8").read())
        for m in FUNCTION.finditer(text):
            start = m.end() - 1
            body[name if m[1] else None, m[2]] = name, start, text[start:closing(text, start) + 1]
    calls = {key: {m[1] for m in CALL.finditer(text)} - NO_CALLS for key, (_, _, text) in body.items()}
    adding = set()

    def adds(file, name):
        if name in CONSTANTS:
            return False
        key = (file, name) if (file, name) in body else (None, name)
        return key in adding or bool(ADDS.match(name))

    while True:
        more = {key for key in body if key not in adding and key[1] not in CONSTANTS and any(adds(body[key][0], n) for n in calls[key])}
        if not more:
            break
        adding |= more
    found = 0
    for file, start, text in body.values():
        for m in CALL.finditer(text):
            if m[1] in NO_CALLS:
                continue
            both = [a for a in arguments(text, m.end() - 1) if any(adds(file, c[1]) for c in CALL.finditer(a))]
            if len(both) > 1:
                found += 1
                line = texts[file].count("\n", 0, start + m.start()) + 1
                print(f"{file}:{line}: {m[1]}: {len(both)} arguments add something: call one of them before")
    print(f"{len(body)} functions, {len(adding)} of them add to a graph or a module, {found} calls in no certain order")
    return found or len(adding) < 100


sys.exit(bool(main(sys.argv[1:])))
