# SPDX-License-Identifier: MIT
"""The Yocto layer without bitbake: the class's own Python on recorded variables of machines, what it makes against what vitqc accepts, and
the syntax of every file of the layer.

    layer_test.py VITQC SOURCE
"""
import pathlib
import re
import subprocess
import sys
import tempfile
import types

vitqc, source = sys.argv[1], pathlib.Path(sys.argv[2])
layer = source / "samples/yocto/meta-vitqc"
passed = failed = 0


def check(what, good, shown=""):
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
        print("FAILED: %s %s" % (what, shown))


class Skip(Exception):
    pass


class Data(dict):
    """As bitbake's d: None for what is not set."""
    def getVar(self, name):
        return self.get(name)


ASSIGN = re.compile(r"""^([A-Za-z0-9_:${}./+-]+)(\[[a-z]+\])?\s*(\?\?=|\?=|:=|\+=|=\+|\.=|=\.|=)\s*(["'])(.*)\4$""", re.S)


def statements(path):
    """(kind, text) of each statement of a recipe, class or configuration file; raises ValueError on what bitbake would not take."""
    lines = path.read_text().split("\n")
    i = 0
    while i < len(lines):
        line = lines[i]
        i += 1
        if not line.strip() or line.startswith("#"):
            continue
        if re.match(r"^(def \w+\(.*\):|python (\w+ )?\(\) \{|[\w:${}-]+ ?\(\) \{)$", line):
            kind = "def" if line.startswith("def") else "python" if line.startswith("python") else "shell"
            body = [line]
            while i < len(lines) and (lines[i][:1] in " \t" or not lines[i] or (kind != "def" and lines[i] != "}")):
                body.append(lines[i])
                i += 1
            if kind != "def":
                if i == len(lines):
                    raise ValueError("no closing brace of: " + line)
                i += 1
            yield kind, "\n".join(body)
            continue
        while line.endswith("\\"):
            line = line[:-1] + lines[i]
            i += 1
        if re.match(r"^(inherit|require|include) ", line):
            yield "directive", line
        elif ASSIGN.match(line):
            yield "assign", line
        else:
            raise ValueError(line)


# every file parses
version = re.search(r"project\(vitqc VERSION ([0-9.]+)", (source / "CMakeLists.txt").read_text())[1]
variables, code, recipe_code = Data(), [], []
for path in sorted(layer.rglob("*")):
    if path.suffix not in (".bb", ".bbclass", ".bbappend", ".conf"):
        continue
    try:
        found = list(statements(path))
    except ValueError as e:
        check("%s parses" % path.name, False, "line: %s" % e)
        continue
    check("%s has statements" % path.name, found)
    for kind, text in found:
        if kind == "shell":
            r = subprocess.run(["sh", "-n"], input=re.sub(r"^[^\n]*\n", "f() {\n", text) + "\n}\n", text=True, capture_output=True)
            check("%s: shell function" % path.name, r.returncode == 0, r.stderr)
        if kind == "assign" and path.suffix == ".bb":
            variables.setdefault(path.name, []).append(text)
        if kind == "python" and path.name == "vitqc_%s.bb" % version:
            recipe_code.append(text)
        if path.name == "vitqc.bbclass":
            m = ASSIGN.match(text) if kind == "assign" else None
            if m and m[1].startswith("VITQC_CPUS_"):
                variables[m[1]] = m[5]
            code.append((kind, text))

for name in ("vitqc_0.1.0.bb", "show-class_1.0.bb"):
    text = "\n".join(variables[name])
    for need in ("SUMMARY", "LICENSE", "LIC_FILES_CHKSUM", "SRC_URI"):
        check("%s has %s" % (name, need), re.search("^%s " % need, text, re.M))
    check("%s leaves S alone or below the work folder" % name, not re.search(r'^S = "\$\{WORKDIR\}(/git)?"', text, re.M))
check("the recipe's version is the project's", (layer / ("recipes-devtools/vitqc/vitqc_%s.bb" % version)).exists(), version)

# the class's functions
bb = types.SimpleNamespace(parse=types.SimpleNamespace(SkipRecipe=Skip), warnonce=lambda text: warnings.append(text))
space = {"bb": bb}
for kind, text in code:
    if kind == "def":
        exec(text, space)
anonymous = [t for k, t in code if k == "python"]
check("one anonymous function", len(anonymous) == 1)
exec("def anonymous(d):\n" + "\n".join(anonymous[0].split("\n")[1:]), space)

records = [r.split("\n") for r in re.sub(r"^#.*\n", "", (source / "tests/yocto/tunes.txt").read_text(), flags=re.M).strip().split("\n\n")]
check("at least 20 machines", len(records) >= 20)
for name, arch, features, ccargs, expected, *warning in records:
    warnings = []
    d = Data({k: v for k, v in variables.items() if k.startswith("VITQC_CPUS_")}, TARGET_ARCH=arch, TUNE_FEATURES=features,
             TUNE_CCARGS="" if ccargs == "-" else ccargs, VITQC_CPU="")
    flags = space["vitqc_target_flags"](d)
    d["VITQC_TARGET_FLAGS"] = flags
    try:
        space["anonymous"](d)
        got = flags
    except Skip as e:
        got = "skipped: %s" % e
    check(name, got == expected, "\n  got      %s\n  expected %s" % (got, expected))
    check(name + ": warnings", len(warnings) == len(warning) and all(w.replace("warning: ", "") in t for w, t in zip(warning, warnings)), warnings)
    if flags:
        with tempfile.TemporaryDirectory() as folder:
            r = subprocess.run([vitqc, str(source / "tests/cli/small.vir"), "-o", folder + "/small.o"] + flags.split(), capture_output=True, text=True)
        check("%s: vitqc takes %s" % (name, flags), r.returncode == 0, r.stderr)

warnings = []
d = Data({k: v for k, v in variables.items() if k.startswith("VITQC_CPUS_")}, TARGET_ARCH="aarch64", TUNE_FEATURES="aarch64", TUNE_CCARGS="-mcpu=cortex-a53",
         VITQC_CPU="cortex-a76")
check("VITQC_CPU wins", space["vitqc_target_flags"](d) == "-target=aarch64 -mcpu=cortex-a76")

# without its tarball the recipe is skipped, and looked at again when one of the places it was sought at has changed
def which(path, name, history):
    tried = [folder + "/" + name for folder in path.split(":")]
    return next((p for p in tried if pathlib.Path(p).exists()), ""), tried


bb.utils = types.SimpleNamespace(which=which)
bb.parse.mark_dependency = lambda d, file: marked.append(file)
check("one anonymous function of the recipe", len(recipe_code) == 1)
exec("def recipe(d):\n" + "\n".join(recipe_code[0].split("\n")[1:]), space)
with tempfile.TemporaryDirectory() as folder:
    for uri, there, skipped in (("file://v.tar.gz", False, True), ("file://v.tar.gz;name=x", True, False), ("https://host.invalid/v.tar.gz", False, False)):
        marked = []
        if there:
            pathlib.Path(folder, "v.tar.gz").touch()
        try:
            space["recipe"](Data(VITQC_SRC_URI=uri, FILESPATH=folder + "/none:" + folder))
            got = ""
        except Skip as e:
            got = str(e)
        check("tarball %s, %s" % (uri, there), bool(got) == skipped and ("dist" in got) == skipped, got)
        check("tarball %s, %s: places" % (uri, there), (folder + "/v.tar.gz" in marked) == uri.startswith("file:"), marked)

# the lists of CPUs are vitqc's
for target in ("aarch64", "armv7", "x86-64"):
    text = subprocess.run([vitqc, "-target=" + target, "-mcpu=help"], capture_output=True, text=True, check=True).stdout
    cpus = re.findall(r"^  (\S+) ", text.split("features")[0], re.M)
    check("VITQC_CPUS_%s" % target, cpus == variables["VITQC_CPUS_" + target].split(), sorted(set(cpus) ^ set(variables["VITQC_CPUS_" + target].split())))
print("%d passed, %d failed" % (passed, failed))
sys.exit(failed != 0)
