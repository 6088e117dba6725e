/* A disk that is slow to sync, or fails to: preloaded into a program, it stands between that and the system.
 *
 * It concerns files whose path ends with PERDURE_TEST_SYNC_OF. Each sync of one takes PERDURE_TEST_SYNC_MILLISECONDS
 * longer. The first one after a file appears under the name PERDURE_TEST_SYNC_FAILS_IF removes that file and fails.
 * `perdure_syncs` counts their beginnings and ends: it is odd while one is under way.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

volatile int perdure_syncs = 0;

static int is_meant(int file) {
    const char *ending = getenv("PERDURE_TEST_SYNC_OF");
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path);
    return ending && length >= (ssize_t)strlen(ending) &&
           memcmp(path + length - strlen(ending), ending, strlen(ending)) == 0;
}

static int meant(int file, const char *function) {
    const char *milliseconds = getenv("PERDURE_TEST_SYNC_MILLISECONDS");
    const char *sign = getenv("PERDURE_TEST_SYNC_FAILS_IF");
    if (milliseconds)
        usleep(1000 * atoi(milliseconds));
    if (sign && unlink(sign) == 0) {
        errno = EIO;
        return -1;
    }
    return ((int (*)(int))dlsym(RTLD_NEXT, function))(file);
}

static int synced(int file, const char *function) {
    if (!is_meant(file))
        return ((int (*)(int))dlsym(RTLD_NEXT, function))(file);
    perdure_syncs++;
    int result = meant(file, function);
    int error = errno;
    perdure_syncs++;
    errno = error;
    return result;
}

int fsync(int file) { return synced(file, "fsync"); }

int fdatasync(int file) { return synced(file, "fdatasync"); }
