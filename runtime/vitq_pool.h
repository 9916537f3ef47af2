/* SPDX-License-Identifier: MIT */
/* Optional: a small thread pool behind vitq_env.parallel_for, on POSIX threads. Compile vitq_pool.c into your program. */
#ifndef VITQ_POOL_H
#define VITQ_POOL_H

#include "vitq.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vitq_pool vitq_pool;

/*
 * A pool of `workers` workers, the thread that calls <prefix>_run being one of them (workers - 1 threads are started). 1 to
 * VITQ_MAX_WORKERS. NULL if memory or threads cannot be had. One run at a time per pool.
 */
vitq_pool *vitq_pool_create(uint32_t workers);

/* Stops the threads and frees the pool. NULL is fine. No run may be under way. */
void vitq_pool_destroy(vitq_pool *pool);

/* Fills env for runs on this pool (everything else zero). */
void vitq_pool_env(vitq_pool *pool, vitq_env *env);

#ifdef __cplusplus
}
#endif
#endif
