/* Preloaded into the signer, this ends it by SIGKILL at one file operation, once the file KILLED_WHEN is there:
 * KILLED_AT=before-rename:TEXT   before a file gets a name that holds TEXT
 * KILLED_AT=after-rename:TEXT    after it
 * KILLED_AT=before-unlink:TEXT   before a file with such a name is removed */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void reached(const char *moment, const char *path) {
    const char *when = getenv("KILLED_WHEN"), *at = getenv("KILLED_AT");
    if (!when || !at) return;
    const char *colon = strchr(at, ':');
    if (!colon || strlen(moment) != (size_t)(colon - at) || strncmp(at, moment, colon - at) != 0) return;
    if (!strstr(path, colon + 1)) return;
    int kept = errno, missing = access(when, F_OK);
    errno = kept;
    if (!missing) kill(getpid(), SIGKILL);
}

int rename(const char *from, const char *to) {
    reached("before-rename", to);
    int result = ((int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename"))(from, to);
    if (result == 0) reached("after-rename", to);
    return result;
}

int unlink(const char *path) {
    reached("before-unlink", path);
    return ((int (*)(const char *))dlsym(RTLD_NEXT, "unlink"))(path);
}
