#include "ir/diag.h"

void vq_diag_init(vq_diag *d, vq_arena *arena, const char *file)
{
	*d = (vq_diag){ .arena = arena, .file = file };
}

static void add(vq_diag *d, vq_severity severity, const char *where, const char *format, va_list args)
{
	d->item = vq_arena_grow(d->arena, d->item, &d->cap, d->n + 1, sizeof *d->item);
	d->item[d->n++] = (vq_message){
		.severity = severity,
		.where = where ? vq_arena_printf(d->arena, "%s", where) : NULL,
		.text = vq_arena_vprintf(d->arena, format, args),
	};
	d->errors += severity == VQ_ERROR;
}

bool vq_error(vq_diag *d, const char *where, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(d, VQ_ERROR, where, format, args);
	va_end(args);
	return false;
}

bool vq_bug(vq_diag *d, const char *where, const char *format, ...)
{
	va_list args;
	const char *text;

	va_start(args, format);
	text = vq_arena_vprintf(d->arena, format, args);
	va_end(args);
	d->bugs++;
	return vq_error(d, where, "internal error: %s", text);
}

bool vq_warning(vq_diag *d, const char *where, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(d, VQ_WARNING, where, format, args);
	va_end(args);
	return false;
}

bool vq_note(vq_diag *d, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(d, VQ_NOTE, NULL, format, args);
	va_end(args);
	return false;
}

bool vq_hint(vq_diag *d, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(d, VQ_HINT, NULL, format, args);
	va_end(args);
	return false;
}

const char *vq_message_text(const vq_diag *d, const vq_message *m)
{
	const char *file = d->file ? d->file : "vitqc";

	switch (m->severity) {
	case VQ_NOTE:
		return vq_arena_printf(d->arena, "  note: %s\n", m->text);
	case VQ_HINT:
		return vq_arena_printf(d->arena, "  hint: %s\n", m->text);
	case VQ_WARNING:
		return vq_arena_printf(d->arena, "%s: warning: %s%s%s\n", file, m->where ? m->where : "",
			m->where ? ": " : "", m->text);
	case VQ_ERROR:
		break;
	}
	return vq_arena_printf(d->arena, "%s: %s%s%s\n", file, m->where ? m->where : "",
		m->where ? ": " : "", m->text);
}
