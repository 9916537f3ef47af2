/* SPDX-License-Identifier: MIT */
/* Is this a build with AddressSanitizer, and what it has to be told about memory that it did not hand out itself. */
#ifndef VQ_IR_SANITIZER_H
#define VQ_IR_SANITIZER_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define VQ_WITH_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define VQ_WITH_ASAN 1
#endif

#ifdef VQ_WITH_ASAN
#include <sanitizer/asan_interface.h>
/* Until VQ_UNPOISON, reading or writing these bytes is an error. */
#define VQ_POISON(p, bytes) __asan_poison_memory_region((p), (bytes))
#define VQ_UNPOISON(p, bytes) __asan_unpoison_memory_region((p), (bytes))
#else
#define VQ_POISON(p, bytes) ((void)(p), (void)(bytes))
#define VQ_UNPOISON(p, bytes) ((void)(p), (void)(bytes))
#endif

#endif
