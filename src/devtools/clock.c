/* Moves the wall clock of every dynamically linked program that preloads it by SHIFT seconds.
 * The monotonic clock stays. Deadlines given in wall time are moved back before they reach the
 * kernel, which knows the true time; else a wait of a second would last years. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* The oldest version there is, so that it loads with any C library. */
__asm__(".symver dlsym, dlsym@GLIBC_2.2.5");

static int wall(clockid_t clock) { return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE; }

int clock_gettime(clockid_t clock, struct timespec *out) {
  int result = (int)syscall(SYS_clock_gettime, clock, out);
  if (result == 0 && wall(clock)) out->tv_sec += SHIFT;
  return result;
}

time_t time(time_t *out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out) *out = now.tv_sec;
  return now.tv_sec;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out) out->tv_sec = now.tv_sec, out->tv_usec = now.tv_nsec / 1000;
  return (void)zone, 0;
}

/* Only a deadline of the moved clock is that far ahead: others count by the monotonic clock. */
static struct timespec true_time(const struct timespec *deadline) {
  struct timespec now, result = *deadline;
  syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
  if (deadline->tv_sec > now.tv_sec + SHIFT / 2) result.tv_sec -= SHIFT;
  return result;
}

int sem_timedwait(sem_t *restrict sem, const struct timespec *restrict deadline) {
  int (*next)(sem_t *, const struct timespec *) = dlsym(RTLD_NEXT, "sem_timedwait");
  struct timespec moved = true_time(deadline);
  return next(sem, &moved);
}

int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict deadline) {
  int (*next)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *) =
      dlsym(RTLD_NEXT, "pthread_cond_timedwait");
  struct timespec moved = true_time(deadline);
  return next(cond, mutex, &moved);
}
