/* SPDX-License-Identifier: MIT */
/* The program vitqc: what touches the process as a whole; the work is in driver.c. */
#include "frontend/driver.h"
#include "frontend/output.h"
#include "frontend/print_diag.h"

#include <stdlib.h>
#include <unistd.h>

static void out_of_memory(void *user)
{
	(void)user;
	vq_outputs_abandon();
	fputs("vitqc: out of memory\n", stderr);
	exit(VQ_EXIT_INPUT);
}

/* LLVM reports what it cannot do by calling this and then aborting. */
static void llvm_failed(const char *reason)
{
	vq_outputs_abandon();
	fprintf(stderr,
		"vitqc: internal error: LLVM: %s\n  note: this is a bug in vitqc, not in the "
		"model; "
		"please report it with the command and the model\n",
		reason);
	_exit(VQ_EXIT_BUG);
}

int main(int argc, char **argv)
{
	vq_arena arena = { .block = NULL };
	vq_options options;
	vq_diag diag;
	int code;

	vq_set_oom_handler(out_of_memory, NULL);
	vq_set_fatal_handler(llvm_failed);
	vq_outputs_catch_signals();
	vq_diag_init(&diag, &arena, NULL);
	if (!vq_options_parse(&options, &arena, &diag, argc, (const char *const *)argv)) {
		vq_print_diag(stderr, &diag, false);
		code = VQ_EXIT_USAGE;
	} else if (options.mode != VQ_MODE_COMPILE) {
		code = vq_print_mode(&options, &arena);
	} else {
		code = vq_drive(&options, &arena);
	}
	vq_arena_free(&arena);
	return code;
}
