/* SPDX-License-Identifier: MIT */
/* A graph becomes an object: plan, module, LLVM, self-check, header. */
#include "backend/module.h"

#include "backend/elf.h"
#include "backend/stack.h"

#include <llvm-c/Analysis.h>

#include <string.h>

/*
 * LLVM's object with the weights behind it, in the memory that held them. The weights of a large model are larger than all else:
 * they are moved, not copied.
 */
static bool join(vq_plan *p, const vq_emit_options *e, const char *object, size_t bytes, vq_object *o, vq_diag *diag)
{
	size_t at = (bytes + 63) / 64 * 64, size = p->weight_bytes ? p->weight_bytes : 1, room = at + size;
	unsigned char *all = vq_resize(p->weights, room);

	p->weights = NULL;
	if (!p->weight_bytes)
		all[0] = 0;
	memmove(all + at, all, size);
	memset(all + bytes, 0, at - bytes);
	memcpy(all, object, bytes);
	o->elf = vq_arena_adopt(o->arena, all);
	o->elf_bytes = room;
	return vq_elf_place(e->target, all, bytes, e->weights_section, at, diag);
}

/* the module's text or object into o->elf */
static bool emit(vq_codegen *c, LLVMTargetMachineRef machine, vq_plan *plan, const vq_emit_options *e, vq_artifact what,
	vq_object *o, vq_diag *diag)
{
	LLVMMemoryBufferRef buffer;
	char *message = NULL;
	size_t n;

	if (what == VQ_ARTIFACT_LLVM) {
		message = LLVMPrintModuleToString(c->module);
		o->elf_bytes = strlen(message);
		o->elf = vq_arena_strndup(o->arena, message, o->elf_bytes);
		LLVMDisposeMessage(message);
		return true;
	}
	if (LLVMTargetMachineEmitToMemoryBuffer(machine, c->module,
		    what == VQ_ARTIFACT_ASM ? LLVMAssemblyFile : LLVMObjectFile, &message, &buffer)) {
		vq_bug(diag, NULL, "LLVM could not write the object: %s", message);
		LLVMDisposeMessage(message);
		return false;
	}
	n = LLVMGetBufferSize(buffer);
	if (c->weights_apart) {
		bool ok = join(plan, e, LLVMGetBufferStart(buffer), n, o, diag);

		LLVMDisposeMemoryBuffer(buffer);
		return ok;
	}
	o->elf = vq_arena_strndup(o->arena, LLVMGetBufferStart(buffer), n);
	o->elf_bytes = n;
	LLVMDisposeMemoryBuffer(buffer);
	return true;
}

static bool verify(vq_codegen *c, vq_diag *diag)
{
	char *message = NULL;
	bool bad = LLVMVerifyModule(c->module, LLVMReturnStatusAction, &message);

	if (c->unknown_intrinsic)
		vq_bug(diag, NULL, "LLVM %s does not have %s", vq_llvm_version(), c->unknown_intrinsic);
	else if (bad)
		vq_bug(diag, NULL, "the generated module is not valid: %s", message);
	LLVMDisposeMessage(message);
	return !bad && !c->unknown_intrinsic;
}

/*
 * Bytes of an object beside its weights. Kernels differ in size by their instruction set most of all: averages over the sample's
 * kernels under three schemes; a call is its arguments' pointers. Right to a third, while weights are exact and nearly everything.
 */
static size_t code_estimate(const vq_plan *p, uint32_t n)
{
	/* clang-format off */
	static const uint16_t kernel[] = {
		[VQ_ISA_SSE2] = 1300, [VQ_ISA_AVX2] = 1400, [VQ_ISA_AVX_VNNI] = 1400, [VQ_ISA_AVX512_VNNI] = 2400, [VQ_ISA_NEON64] = 800,
		[VQ_ISA_DOTPROD] = 1100, [VQ_ISA_I8MM] = 1100, [VQ_ISA_NEON32] = 700, [VQ_ISA_RV64] = 2000, [VQ_ISA_RVV128] = 700, [VQ_ISA_RVV256] = 700,
	};
	/* clang-format on */

	size_t steps = 0;

	for (uint32_t i = 0; i < n; i++)
		steps += p[i].n_steps;
	return 2000 + p->n_kernels * (size_t)kernel[p->target->isa] + steps * 150;
}

/* The named node during whose step most buffer bytes are live. */
static const char *peak_of(const vq_plan *p)
{
	const char *found = NULL;
	uint64_t most = 0;

	for (uint32_t i = 0; i < p->n_steps; i++) {
		const char *name = p->g->node[p->step[i].node.id].name;
		uint64_t live = 0;

		for (uint32_t k = 0; k < p->n_buffers; k++)
			live += p->buffer[k].first <= i && i <= p->buffer[k].last ? p->buffer[k].bytes : 0;
		if (live > most && name) {
			most = live;
			found = name;
		}
	}
	return found;
}

static void describe_steps(const vq_plan *p, const char *suffix, vq_object *o)
{
	vq_entry_facts *e = &o->entry[o->n_entries++];

	*e = (vq_entry_facts){
		.suffix = suffix ? vq_arena_printf(o->arena, "%s", suffix) : NULL,
		.workspace_bytes = p->buffer_bytes + p->scratch_bytes,
		.worker_bytes = p->scratch_bytes,
	};
	for (uint32_t i = 0; i < p->n_steps; i++) {
		const vq_step *s = &p->step[i];
		const char *name = p->g->node[s->node.id].name;

		o->line[o->n_lines++] = (vq_plan_line){
			.kernel = vq_kernel_symbol(o->arena, p, s->kernel),
			.kind = vq_kernel_kind_name(&p->kernel[s->kernel]),
			.node = name ? vq_arena_printf(o->arena, "%s", name) : NULL,
			.macs = s->macs,
			.integer = s->integer,
			.weight_bytes = s->weight_bytes,
			.tasks = s->tasks,
			.suffix = e->suffix,
		};
		e->macs += (uint64_t)s->macs;
		o->integer_macs += s->integer && !suffix ? (uint64_t)s->macs : 0;
	}
}

static void describe(const vq_plan *p, const vq_emit_options *options, vq_object *o)
{
	const char *peak = peak_of(p);
	uint32_t steps = 0;

	for (uint32_t i = 0; i <= options->n_more; i++)
		steps += p[i].n_steps;
	o->peak_node = peak ? vq_arena_printf(o->arena, "%s", peak) : NULL;
	o->weight_bytes = p->weight_bytes;
	o->line = VQ_ARRAY(o->arena, steps, vq_plan_line);
	o->entry = VQ_ARRAY(o->arena, options->n_more + 1, vq_entry_facts);
	for (uint32_t i = 0; i <= options->n_more; i++)
		describe_steps(&p[i], i ? options->more[i - 1].suffix : NULL, o);
	o->workspace_bytes = o->entry->workspace_bytes;
	o->worker_bytes = o->entry->worker_bytes;
	o->macs = o->entry->macs;
}

bool vq_compile(const vq_graph *g, const vq_emit_options *options, vq_artifact what, vq_object *o)
{
	vq_arena scratch = { 0 };
	vq_codegen c = { 0 };
	uint32_t n = options->n_more + 1;
	vq_plan *plan = VQ_ARRAY(&scratch, n, vq_plan);
	const vq_graph **graph = VQ_ARRAY(&scratch, n, const vq_graph *);
	vq_stack stack;
	LLVMTargetMachineRef machine;
	bool ok = false;

	for (uint32_t i = 0; i < n; i++)
		graph[i] = i ? options->more[i - 1].g : g;
	if (!vq_plan_make_all(plan, graph, n, &scratch, options->target, options->strict, options->instrument))
		goto out;
	if (what == VQ_ARTIFACT_PLAN) {
		describe(plan, options, o);
		o->elf_bytes = plan->weight_bytes + code_estimate(plan, n);
		ok = true;
		goto out;
	}
	machine = vq_codegen_open(&c, options->target, options->strict, g->diag);
	if (!machine)
		goto out;
	c.plan = plan;
	c.weights_given = options->weights_file;
	c.weights_hash = c.weights_given ? vq_weights_hash(plan) : 0;
	c.weights_apart = what == VQ_ARTIFACT_OBJECT && !c.weights_given;
	vq_stack_watch(&stack, &c, vq_arena_printf(&scratch, "%s_run", options->prefix), g->diag);
	ok = vq_module_build(&c, plan, options, g->diag) && verify(&c, g->diag) &&
		emit(&c, machine, plan, options, what, o, g->diag);
	vq_codegen_close(&c, machine);
	if (ok && what == VQ_ARTIFACT_OBJECT) {
		ok = vq_elf_check(options->target, options->prefix, o->elf, o->elf_bytes, g->diag);
		o->stack_bytes = vq_stack_bytes(&stack, options->target);
		o->header = vq_arena_printf(
			o->arena, "%s", vq_header_text(plan, options, o->stack_bytes, c.weights_hash));
	}
	if (ok && c.weights_given)
		vq_weights_file(plan, options, c.weights_hash, o);
	if (ok)
		describe(plan, options, o);
out:
	vq_free(plan->weights);
	vq_arena_free(&scratch);
	return ok;
}
