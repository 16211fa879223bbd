/* Lets calls on regular files fail while a file of a certain name is there, as a disk does. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_there(const char *variable) {
    const char *file = getenv(variable);
    return file && syscall(SYS_access, file, F_OK) == 0;
}

static int is_regular(int fd) {
    struct stat status;
    return 2 < fd && fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

int fsync(int fd) {
    if (is_there("SYNC_FAILS")) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
    if (is_there("SYNC_FAILS")) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_fdatasync, fd);
}

/* A full disk takes a part of what is written, and then nothing. */
ssize_t write(int fd, const void *bytes, size_t count) {
    if (is_regular(fd) && is_there("DISK_IS_FULL")) {
        count /= 2;
        if (count == 0) {
            errno = ENOSPC;
            return -1;
        }
    }
    return syscall(SYS_write, fd, bytes, count);
}
