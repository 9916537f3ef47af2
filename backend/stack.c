/* SPDX-License-Identifier: MIT */
/*
 * LLVM tells the size of a frame through the function attribute "warn-stack-size": a warning for each function whose frame is larger than the
 * attribute's number. The C API shows a warning as text only: "stack frame size (N) exceeds limit (L) in function 'f'". Before LLVM 19 the attribute
 * may print to stderr too, so there an analysis remark is asked for, "N stack bytes in function"; which one it does not always say, so the largest
 * counts on every level.
 */
#include "backend/stack.h"

#include <llvm-c/Support.h>

#include <stdlib.h>
#include <string.h>

enum { RUN, BODY, STEP, KERNEL, LEVELS };
#if LLVM_VERSION_MAJOR < 19
static const char remarks[] = "-pass-remarks-analysis=prologepilog|stack-frame-layout";
#else
static const char remarks[] = "-pass-remarks-analysis=stack-frame-layout";
#endif
enum { MOST_VSCALE = 1024 / 64 }; /* longest vector registers the figure holds for */

static void note_frame(vq_stack *s, const char *text)
{
	const char *number = strchr(text, '('), *name = strchr(text, '\'');
	uint64_t bytes = number ? strtoull(number + 1, NULL, 10) : 0;
	uint32_t level = KERNEL;

	if (!bytes || !name) {
		vq_bug(s->diag, NULL, "LLVM reports a frame in other words than expected: %s", text);
		return;
	}
	name++;
	if (strncmp(name, s->run, strlen(s->run)) == 0)
		level = RUN;
	else if (strncmp(name, "body", 4) == 0)
		level = BODY;
	else if (strncmp(name, "step", 4) == 0)
		level = STEP;
	if (bytes > s->level[level])
		s->level[level] = bytes;
}

/* "…: N stack bytes in function" */
static void note_largest(vq_stack *s, const char *text)
{
	const char *number = strstr(text, " stack bytes");

	while (number > text && number[-1] >= '0' && number[-1] <= '9')
		number--;
	for (uint32_t i = 0; i < LEVELS; i++)
		if (strtoull(number, NULL, 10) > s->level[i])
			s->level[i] = strtoull(number, NULL, 10);
}

/* RISC-V V: spilled vectors are not in the size above; the analysis of frame layouts lists them as "Size: vscale x N" */
static void note_vectors(vq_stack *s, const char *text)
{
	static const char mark[] = "Size: vscale x ";
	uint64_t sum = 0;

	for (const char *at = strstr(text, mark); at; at = strstr(at, mark)) {
		at += sizeof mark - 1;
		sum += strtoull(at, NULL, 10);
	}
	if (sum > s->per_vscale)
		s->per_vscale = sum;
}

static void handle(LLVMDiagnosticInfoRef info, void *user)
{
	vq_stack *s = user;
	LLVMDiagnosticSeverity severity = LLVMGetDiagInfoSeverity(info);
	char *text = LLVMGetDiagInfoDescription(info);

	if (severity == LLVMDSError)
		vq_bug(s->diag, NULL, "LLVM: %s", text);
	else if (severity == LLVMDSWarning && strstr(text, "stack frame size ("))
		note_frame(s, strstr(text, "stack frame size ("));
	else if (LLVM_VERSION_MAJOR < 19 && strstr(text, " stack bytes in function"))
		note_largest(s, text);
	else if (strstr(text, "Function: "))
		note_vectors(s, text);
	LLVMDisposeMessage(text);
}

void vq_stack_watch(vq_stack *s, vq_codegen *c, const char *run, vq_diag *diag)
{
	static bool asked;

	if ((LLVM_VERSION_MAJOR < 19 || c->target->min_vlen) && !asked) {
		const char *const options[] = { "vitqc", remarks };

		LLVMParseCommandLineOptions(2, options, NULL);
		asked = true;
	}
	*s = (vq_stack){ .diag = diag, .run = run };
	c->report_frames = LLVM_VERSION_MAJOR >= 19;
	LLVMContextSetDiagnosticHandler(c->context, handle, s);
}

uint64_t vq_stack_bytes(const vq_stack *s, const vq_target *t)
{
	uint64_t sum = 0;

	if (LLVM_VERSION_MAJOR < 19 && t->min_vlen)
		return 0; /* their list of slots says nothing of vectors */
	/* per frame: a return address and what aligning for vectors may skip, which LLVM does not count */
	for (uint32_t i = 0; i < LEVELS; i++)
		sum += s->level[i] + 16 + (t->vector_bytes > 16 ? t->vector_bytes : 0);
	if (t->arch == VQ_ARCH_X86_64)
		sum += 128; /* the red zone: kernels call nothing and may store below the stack pointer */
	sum += s->per_vscale * MOST_VSCALE;
	return (sum + 15) / 16 * 16;
}
