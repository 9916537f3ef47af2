/* SPDX-License-Identifier: MIT */
/* vitqc as it is where LLVM has no backend for the host: linked with --wrap=vq_jit, it gets no JIT. */
#include "backend/backend.h"

const vq_executor *__wrap_vq_jit(const char **reason);
int vitqc_main(int argc, char **argv); /* frontend/main.c's, renamed as in all tests (fuzz.cmake) */

const vq_executor *__wrap_vq_jit(const char **reason)
{
	*reason = "this LLVM has no backend for the host";
	return NULL;
}

int main(int argc, char **argv) { return vitqc_main(argc, argv); }
