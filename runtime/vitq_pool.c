/* SPDX-License-Identifier: MIT */
#include "vitq_pool.h"

#include <pthread.h>
#include <stdlib.h>

struct vitq_pool {
	pthread_mutex_t lock;
	pthread_cond_t start, done;
	uint32_t workers;    /* the caller included */
	uint32_t threads;    /* started */
	uint32_t generation; /* counts runs, so that a thread takes part in each once */
	uint32_t active;     /* threads still in the current run */
	int stop;
	vitq_task *task;
	void *arg;
	uint32_t tasks, next; /* next: first task nobody has taken */
	pthread_t thread[VITQ_MAX_WORKERS];
	struct vitq_seat {
		vitq_pool *pool;
		uint32_t worker;
	} seat[VITQ_MAX_WORKERS];
};

/* Takes tasks until none is left; the lock is held on entry and on return. */
static void work(vitq_pool *p, uint32_t worker)
{
	while (p->next < p->tasks) {
		uint32_t t = p->next++;

		pthread_mutex_unlock(&p->lock);
		p->task(p->arg, t, worker);
		pthread_mutex_lock(&p->lock);
	}
}

static void *thread_main(void *seat)
{
	vitq_pool *p = ((struct vitq_seat *)seat)->pool;
	uint32_t worker = ((struct vitq_seat *)seat)->worker, seen = 0;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		while (!p->stop && p->generation == seen)
			pthread_cond_wait(&p->start, &p->lock);
		if (p->stop)
			break;
		seen = p->generation;
		work(p, worker);
		if (--p->active == 0)
			pthread_cond_signal(&p->done);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static void parallel_for(void *pool, uint32_t tasks, vitq_task *task, void *arg)
{
	vitq_pool *p = pool;

	pthread_mutex_lock(&p->lock);
	p->task = task;
	p->arg = arg;
	p->tasks = tasks;
	p->next = 0;
	if (tasks > 1 && p->threads) { /* waking threads for one task would cost more than it saves */
		p->active = p->threads;
		p->generation++;
		pthread_cond_broadcast(&p->start);
	}
	work(p, 0);
	while (p->active)
		pthread_cond_wait(&p->done, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

vitq_pool *vitq_pool_create(uint32_t workers)
{
	vitq_pool *p = workers >= 1 && workers <= VITQ_MAX_WORKERS ? calloc(1, sizeof *p) : NULL;

	if (!p)
		return NULL;
	if (pthread_mutex_init(&p->lock, NULL) || pthread_cond_init(&p->start, NULL) ||
		pthread_cond_init(&p->done, NULL)) {
		free(p);
		return NULL;
	}
	p->workers = workers;
	for (uint32_t i = 1; i < workers; i++) {
		p->seat[i] = (struct vitq_seat){ p, i };
		if (pthread_create(&p->thread[i], NULL, thread_main, &p->seat[i])) {
			vitq_pool_destroy(p);
			return NULL;
		}
		p->threads++;
	}
	return p;
}

void vitq_pool_destroy(vitq_pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = 1;
	pthread_cond_broadcast(&p->start);
	pthread_mutex_unlock(&p->lock);
	for (uint32_t i = 1; i <= p->threads; i++)
		pthread_join(p->thread[i], NULL);
	pthread_cond_destroy(&p->done);
	pthread_cond_destroy(&p->start);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

void vitq_pool_env(vitq_pool *p, vitq_env *env)
{
	*env = (vitq_env){ .size = sizeof *env, .workers = p->workers, .parallel_for = parallel_for, .pool = p };
}
