"""A disk that refuses: calls of one process on one folder fail by chance, or wait, as long as a
test asks.

A small library is put before the system's own.  It needs a compiler, and no rights.
"""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.needs import need

_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static __thread unsigned long drawn;

/* Tell whether a call on this path is refused now; for what is written, or for reading, too. */
static int refused(const char *path, int writes) {
    const char *folder = getenv("REFUSING_FOLDER"), *control = getenv("REFUSING_CONTROL");
    char words[64];
    int number = 0, percent = 0;
    if (!folder || !control || !path || strncmp(path, folder, strlen(folder)) != 0) return 0;
    int fd = syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t size = syscall(SYS_read, fd, words, sizeof words - 1);
    syscall(SYS_close, fd);
    if (size <= 0) return 0;
    words[size] = 0;
    if (sscanf(words, "%d %d", &number, &percent) != 2) return 0;
    if (!writes && number != EIO) return 0;
    if (!number) { /* wait until the control is gone */
        while (syscall(SYS_access, control, F_OK) == 0) usleep(10000);
        return 0;
    }
    if (!drawn)
        drawn = (unsigned long)&words ^ ((unsigned long)getpid() << 16) ^ 88172645463UL;
    drawn ^= drawn << 13; drawn ^= drawn >> 7; drawn ^= drawn << 17;
    if ((int)(drawn % 100) >= percent) return 0;
    errno = number;
    return 1;
}

static int refused_fd(int fd, int writes) {
    char link[32], path[4096];
    if (!getenv("REFUSING_CONTROL")) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size <= 0) return 0;
    path[size] = 0;
    return refused(path, writes);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define WRITES(flags) (((flags) & O_ACCMODE) != O_RDONLY || ((flags) & O_CREAT))

#define OPENING(name)                                                        \
    int name(const char *path, int flags, ...) {                             \
        va_list rest; va_start(rest, flags);                                 \
        mode_t mode = va_arg(rest, mode_t); va_end(rest);                    \
        if (refused(path, WRITES(flags))) return -1;                         \
        return REAL(name)(path, flags, mode);                                \
    }
OPENING(open)
OPENING(open64)

#define OPENING_AT(name)                                                     \
    int name(int at, const char *path, int flags, ...) {                     \
        va_list rest; va_start(rest, flags);                                 \
        mode_t mode = va_arg(rest, mode_t); va_end(rest);                    \
        if (refused(path, WRITES(flags))) return -1;                         \
        return REAL(name)(at, path, flags, mode);                            \
    }
OPENING_AT(openat)
OPENING_AT(openat64)

ssize_t write(int fd, const void *from, size_t n)
{ return refused_fd(fd, 1) ? -1 : REAL(write)(fd, from, n); }
ssize_t pwrite(int fd, const void *from, size_t n, off_t at)
{ return refused_fd(fd, 1) ? -1 : REAL(pwrite)(fd, from, n, at); }
ssize_t pwrite64(int fd, const void *from, size_t n, off64_t at)
{ return refused_fd(fd, 1) ? -1 : REAL(pwrite64)(fd, from, n, at); }
ssize_t pread(int fd, void *to, size_t n, off_t at)
{ return refused_fd(fd, 0) ? -1 : REAL(pread)(fd, to, n, at); }
ssize_t pread64(int fd, void *to, size_t n, off64_t at)
{ return refused_fd(fd, 0) ? -1 : REAL(pread64)(fd, to, n, at); }
ssize_t read(int fd, void *to, size_t n) { return refused_fd(fd, 0) ? -1 : REAL(read)(fd, to, n); }
int fsync(int fd) { return refused_fd(fd, 1) ? -1 : REAL(fsync)(fd); }
int fdatasync(int fd) { return refused_fd(fd, 1) ? -1 : REAL(fdatasync)(fd); }
int ftruncate(int fd, off_t n) { return refused_fd(fd, 1) ? -1 : REAL(ftruncate)(fd, n); }
int ftruncate64(int fd, off64_t n) { return refused_fd(fd, 1) ? -1 : REAL(ftruncate64)(fd, n); }
int unlink(const char *path) { return refused(path, 1) ? -1 : REAL(unlink)(path); }
int mkdir(const char *path, mode_t mode) { return refused(path, 1) ? -1 : REAL(mkdir)(path, mode); }
int rename(const char *from, const char *to)
{ return refused(to, 1) ? -1 : REAL(rename)(from, to); }
int link(const char *from, const char *to) { return refused(to, 1) ? -1 : REAL(link)(from, to); }
"""


@dataclass(frozen=True)
class RefusingDisk:
    """A folder on which calls of one process can be refused."""

    library: Path
    folder: Path
    control: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a process must be started with."""
        return {
            "LD_PRELOAD": str(self.library),
            "REFUSING_FOLDER": str(self.folder),
            "REFUSING_CONTROL": str(self.control),
        }

    def hanging(self) -> contextlib.AbstractContextManager[None]:
        """Let whoever writes wait meanwhile."""
        return self.refusing(0, percent=100)

    @contextlib.contextmanager
    def refusing(self, number: int, *, percent: int) -> Iterator[None]:
        """Refuse so many calls of a hundred meanwhile, with this error."""
        unfinished = self.control.with_suffix(".new")
        unfinished.write_text(f"{number} {percent}")
        unfinished.replace(self.control)
        try:
            yield
        finally:
            self.control.unlink()


def build(place: Path, *, folder: Path) -> RefusingDisk:
    """Compile the library into a folder."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        need(Path("/usr/bin/cc"), "gcc")
    assert compiler is not None  # else `need` has ended the test
    source, library = place / "refusing.c", place / "refusing.so"
    source.write_text(_SOURCE)
    words = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        pytest.fail(done.stderr)
    return RefusingDisk(library, folder, place / "refuse-now")
