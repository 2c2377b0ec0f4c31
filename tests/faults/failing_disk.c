/* Preloaded into the signer, this lets the disk under its database fail once the file FAILING_DISK_WHEN is there:
 * FAILING_DISK_HOW=lost      a write fails and nothing is written
 * FAILING_DISK_HOW=kept      the write is done, and making it durable fails: what was to be lost may be there */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fails(int fd, const char *how) {
    const char *when = getenv("FAILING_DISK_WHEN"), *wanted = getenv("FAILING_DISK_HOW");
    if (!when || !wanted || strcmp(wanted, how) != 0) return 0;
    int kept = errno, missing = access(when, F_OK);
    errno = kept;
    if (missing) return 0;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (!strstr(path, "journal.sqlite") || strstr(path, "-shm")) return 0;
    errno = EIO;
    return 1;
}

typedef ssize_t (*writer)(int, const void *, size_t, off64_t);
typedef int (*syncer)(int);

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    return fails(fd, "lost") ? -1 : ((writer)dlsym(RTLD_NEXT, "pwrite64"))(fd, data, size, at);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    return fails(fd, "lost") ? -1 : ((writer)dlsym(RTLD_NEXT, "pwrite64"))(fd, data, size, at);
}
int fsync(int fd) { return fails(fd, "kept") ? -1 : ((syncer)dlsym(RTLD_NEXT, "fsync"))(fd); }
int fdatasync(int fd) { return fails(fd, "kept") ? -1 : ((syncer)dlsym(RTLD_NEXT, "fdatasync"))(fd); }
