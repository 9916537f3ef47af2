# SPDX-License-Identifier: MIT
#
# Compiles ONNX models into objects for the machine that is built for.
#
#   inherit vitqc
#   do_compile() {
#       vitqc_compile_model ${S}/vit.onnx ${B}/vit.o -calib=${S}/images.npy
#       ${CC} ${CFLAGS} -I${B} ${S}/main.c ${B}/vit.o ${LDFLAGS} -o ${B}/main
#   }
#
# VITQC_CPU          as -mcpu=; default: what TUNE_CCARGS says, the baseline of the architecture where vitqc does not know it
# VITQC_EXTRA_FLAGS  further options for every model
# VITQC_TARGET_FLAGS the options made from the tune; set it to decide everything yourself
#
# Architecture, float ABI, CPU, vector extensions and branch protection come from TARGET_ARCH, TUNE_FEATURES and TUNE_CCARGS. A tune that
# vitqc has no target for skips the recipe and says why.

DEPENDS:append = " vitqc-native"

VITQC ?= "${STAGING_BINDIR_NATIVE}/vitqc"
VITQC_CPU ?= ""
VITQC_EXTRA_FLAGS ?= ""
VITQC_TARGET_FLAGS ?= "${@vitqc_target_flags(d)}"
# what was decided goes into the task's hash, not how
VITQC_TARGET_FLAGS[vardepvalue] = "${VITQC_TARGET_FLAGS}"
vitqc_target_flags[vardepsexclude] = "TUNE_FEATURES TUNE_CCARGS TARGET_ARCH VITQC_CPU"

# CPUs of `vitqc -target=NAME -mcpu=help` (a test compares them)
VITQC_CPUS_aarch64 = "generic cortex-a34 cortex-a35 cortex-a53 cortex-a55 cortex-a57 cortex-a65 cortex-a65ae cortex-a72 cortex-a73 \
    cortex-a75 cortex-a76 cortex-a76ae cortex-a77 cortex-a78 cortex-a78ae cortex-a78c cortex-a510 cortex-a520 cortex-a520ae cortex-a710 \
    cortex-a715 cortex-a720 cortex-a720ae cortex-a725 cortex-r82 cortex-x1 cortex-x1c cortex-x2 cortex-x3 cortex-x4 cortex-x925 \
    neoverse-512tvb neoverse-e1 neoverse-n1 neoverse-n2 neoverse-n3 neoverse-v1 neoverse-v2 neoverse-v3 a64fx ampere1 ampere1a ampere1b \
    apple-a10 apple-a11 apple-a12 apple-a13 apple-a14 apple-a15 apple-a16 apple-a17 apple-m4 carmel exynos-m3 exynos-m4 exynos-m5 falkor \
    kryo oryon-1 saphira thunderx thunderx2t99 thunderx3t110 tsv110"
VITQC_CPUS_armv7 = "generic cortex-a5 cortex-a7 cortex-a8 cortex-a9 cortex-a12 cortex-a15 cortex-a17 cortex-a32 cortex-a35 cortex-a53 \
    cortex-a55 cortex-a57 cortex-a72 cortex-a73 cortex-a75 cortex-a76 cortex-a76ae cortex-a77 cortex-a78 cortex-a78ae cortex-a78c \
    cortex-a710 exynos-m3 exynos-m4 exynos-m5 krait kryo neoverse-n1 neoverse-n2 neoverse-v1 swift"
VITQC_CPUS_x86-64 = "x86-64 x86-64-v2 x86-64-v3 x86-64-v4 atom core2 penryn corei7 nehalem westmere sandybridge ivybridge corei7-avx \
    core-avx-i silvermont goldmont goldmont-plus tremont gracemont sierraforest haswell core-avx2 broadwell skylake skylake-avx512 skx \
    cannonlake cascadelake cooperlake icelake-client icelake-server tigerlake rocketlake sapphirerapids emeraldrapids graniterapids alderlake \
    raptorlake meteorlake arrowlake arrowlake-s lunarlake pantherlake k8 amdfam10 btver1 btver2 bdver1 bdver2 bdver3 bdver4 znver1 znver2 \
    znver3 znver4 znver5"

# (target, None) or (None, why not) of TARGET_ARCH and TUNE_FEATURES
def vitqc_target(d):
    arch = d.getVar('TARGET_ARCH') or ''
    features = (d.getVar('TUNE_FEATURES') or '').split()
    known = {'aarch64': 'aarch64', 'arm': 'armv7', 'x86_64': 'x86-64', 'riscv64': 'riscv64'}

    if arch not in known:
        return None, "vitqc has no target for TARGET_ARCH '%s'" % arch
    if 'bigendian' in features:
        return None, "vitqc has no target for big-endian '%s'" % arch
    if arch == 'arm' and 'neon' not in features and not any(f.startswith(('armv8', 'armv9')) for f in features):
        return None, "vitqc needs NEON, which TUNE_FEATURES '%s' lacks" % ' '.join(features)
    if arch == 'x86_64' and 'mx32' in features:
        return None, "vitqc has no target for the x32 ABI"
    if arch == 'riscv64':
        for word in (d.getVar('TUNE_CCARGS') or '').split():
            name, _, value = word.partition('=')
            letters = value.split('_')[0][4:].replace('g', 'imafd')
            if (name == '-mabi' and value != 'lp64d') or (name == '-march' and not set('imafdc') <= set(letters)):
                return None, "vitqc needs rv64gc and lp64d, which '%s' is not" % word
    return known[arch], None

# (cpu, extensions) that TUNE_CCARGS names as GCC does: -mcpu=LITTLE or -mcpu=big.LITTLE, both with +extensions, or -march=
def vitqc_cpu(d, target):
    cpu, extensions = '', []

    for word in (d.getVar('TUNE_CCARGS') or '').split():
        if word.startswith('-mcpu=') or (word.startswith('-march=') and not cpu):
            name, *more = word.split('=', 1)[1].split('+')
            extensions = more
            if word.startswith('-mcpu='):
                cpu = name.split('.')[-1]    # of big.LITTLE the one whose instructions both have
            elif target == 'x86-64':
                cpu = name
            elif target == 'riscv64':
                extensions = vitqc_riscv_extensions(name)
            elif name.startswith(('armv8.6', 'armv8.7', 'armv8.8', 'armv8.9', 'armv9.')):
                extensions = ['dotprod', 'i8mm'] + more
            elif name.startswith(('armv8.4', 'armv8.5', 'armv9')):
                extensions = ['dotprod'] + more
    return cpu, extensions

# of an ISA string: rv64gcv, rv64imafdc_v_zvl256b ...
def vitqc_riscv_extensions(isa):
    first, *more = isa.split('_')
    single = first[4:] if first.startswith('rv64') else ''
    vector = 'v' in single or 'v' in more
    return (['v'] if vector else []) + [m for m in more if vector and m.startswith('zvl')]

def vitqc_target_flags(d):
    target, why = vitqc_target(d)
    if not target:
        return ''
    features = (d.getVar('TUNE_FEATURES') or '').split()
    flags = ['-target=' + target]
    if target == 'armv7':
        flags.append('-mfloat-abi=' + ('hard' if 'callconvention-hard' in features else 'softfp'))
    if d.getVar('VITQC_CPU'):
        flags.append('-mcpu=' + d.getVar('VITQC_CPU'))
        extensions = []
    else:
        cpu, extensions = vitqc_cpu(d, target)
        if cpu in (d.getVar('VITQC_CPUS_' + target) or '').split():
            flags.append('-mcpu=' + cpu)
        elif cpu:
            bb.warnonce("vitqc does not know the CPU '%s' of TUNE_CCARGS: the model gets the baseline kernels of %s; set VITQC_CPU to choose" % (cpu, target))
    if target == 'aarch64':
        extensions = [e for e in extensions if e in ('dotprod', 'nodotprod', 'i8mm', 'noi8mm')]
    elif target != 'riscv64':
        extensions = []    # GCC's other extensions change nothing in our kernels
    if extensions:
        flags.append('-mattr=' + ','.join('-' + e[2:] if e.startswith('no') else '+' + e for e in extensions))
    for word in (d.getVar('TUNE_CCARGS') or '').split():
        # an object without the note would take the protection off every program that it is linked into
        if (target == 'aarch64' and word.startswith('-mbranch-protection=')) or (target == 'x86-64' and word.startswith('-fcf-protection=')):
            flags.append(word)
    return ' '.join(flags)

python () {
    target, why = vitqc_target(d)
    if not target and not d.getVar('VITQC_TARGET_FLAGS'):
        raise bb.parse.SkipRecipe(why)
}

# vitqc_compile_model MODEL.onnx OUT.o [option ...]: OUT.o, and OUT.h beside it
vitqc_compile_model() {
    model="$1"
    object="$2"
    shift 2
    bbnote "vitqc $model ${VITQC_TARGET_FLAGS} ${VITQC_EXTRA_FLAGS} $* -o $object"
    ${VITQC} "$model" ${VITQC_TARGET_FLAGS} ${VITQC_EXTRA_FLAGS} "$@" -o "$object" || bbfatal "vitqc could not compile $model"
}
