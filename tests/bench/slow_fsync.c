/* Preloaded into the signer, this makes every fsync and fdatasync take SLOW_FSYNC_MICROSECONDS longer:
 * a disk that flushes in earnest, on a machine whose own does not. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

static void wait_as_told(void) {
    const char *text = getenv("SLOW_FSYNC_MICROSECONDS");
    long microseconds = text ? atol(text) : 0;
    struct timespec rest = {microseconds / 1000000, microseconds % 1000000 * 1000};
    while (nanosleep(&rest, &rest) < 0 && errno == EINTR) continue;
}

static int then(const char *name, int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    int result = real(fd);
    int kept = errno;
    wait_as_told();
    errno = kept;
    return result;
}

int fsync(int fd) { return then("fsync", fd); }
int fdatasync(int fd) { return then("fdatasync", fd); }
