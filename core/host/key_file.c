/* SPDX-License-Identifier: MIT */
#include "host/key_file.h"
#include "crypto/secret.h"
#include "host/fail.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Key files. Loading trusts nothing but the descriptor that it opened: the mode that is checked is
 * the mode of the file that is read, whatever the name points to a moment later. Saving writes a
 * file of another name in the same folder and gives it the final name by link(), which fails when
 * the name is taken (rename would replace it). A crash leaves at most the other file, readable by
 * the owner alone. */

enum { TEMPORARY_TRIES = 8 }; /* names of 64 random bits: a second try is already a surprise */

static int fail_io(weir_error *error, int number, const char *doing, const char *path)
{
    char words[96];
    int code = WEIR_E_IO;
    const char *advice = "look at the disk and the folder";

    if (number == ENOENT || number == ENOTDIR) {
        code = WEIR_E_NOT_FOUND;
        advice = "check the name";
    }
    if (number == EACCES || number == EPERM || number == EROFS) {
        code = WEIR_E_PERMISSION;
        advice = "choose a folder that you may use, or change its permissions";
    }
    return fail_with(error, code, "%s the key file %.120s failed (%s): %s", doing, path,
                     fail_words(number, words, sizeof words), advice);
}

/* @return bytes read up to cap, or -1 with errno */
static ssize_t read_all(int fd, char *bytes, size_t cap)
{
    size_t len = 0;

    while (len < cap) {
        ssize_t n = read(fd, bytes + len, cap - len);

        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        if (n == 0) break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

static int write_all(int fd, const char *bytes, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = write(fd, bytes + done, len - done);

        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        done += (size_t)n;
    }
    return 0;
}

static int check_access(int fd, const char *path, weir_error *error)
{
    struct stat st;

    if (fstat(fd, &st) != 0) return fail_io(error, errno, "reading", path);
    if (!S_ISREG(st.st_mode)) {
        return fail_with(error, WEIR_E_KEY, "%.120s is not a file: give the name of a key file",
                         path);
    }
    if (st.st_uid != geteuid()) {
        return fail_with(error, WEIR_E_KEY_FILE,
                         "the key file %.80s belongs to user %lu, not to this one (%lu): use a key"
                         " of your own, or chown it",
                         path, (unsigned long)st.st_uid, (unsigned long)geteuid());
    }
    if ((st.st_mode & 077) != 0) {
        return fail_with(error, WEIR_E_KEY_FILE,
                         "others can read or write the key file %.95s (mode %04o): chmod 600 %.95s",
                         path, (unsigned)(st.st_mode & 07777), path);
    }
    return 0;
}

int key_file_load(const char *path, struct key_pair *pair, weir_error *error)
{
    char text[KEY_PAIR_TEXT_SIZE + 1]; /* one more, so that a longer file is seen to be longer */
    const char *why = NULL;
    ssize_t len;
    int code, number;
    /* Not blocking: the name may be a pipe that nobody writes to. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    memset(pair, 0, sizeof *pair);
    if (fd < 0) return fail_io(error, errno, "opening", path);
    code = check_access(fd, path, error);
    if (code != 0) {
        (void)close(fd);
        return code;
    }
    len = read_all(fd, text, sizeof text);
    number = errno;
    (void)close(fd);
    if (len < 0) return fail_io(error, number, "reading", path);
    code = key_pair_decode(pair, text, (size_t)len, &why);
    secret_zero(text, sizeof text);
    if (code != 0) {
        return fail_with(error, code,
                         "%.80s is not a usable key file (%.80s): restore it from a"
                         " copy, or make a new key",
                         path, why != NULL ? why : "damaged");
    }
    return 0;
}

/* Create an empty file beside path that only its owner may use. @return descriptor, or -1 with
 * errno */
static int open_temporary(const char *path, char *name, size_t cap)
{
    int tries;

    for (tries = 0; tries < TEMPORARY_TRIES; tries++) {
        uint64_t number;
        int fd, len;

        entropy_system_fill(NULL, &number, sizeof number);
        len = snprintf(name, cap, "%s.new-%016" PRIx64, path, number);
        if (len < 0 || (size_t)len >= cap) {
            errno = ENAMETOOLONG;
            return -1;
        }
        fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd >= 0 || errno != EEXIST) return fd;
    }
    return -1;
}

/* A name is on the disk only when its folder is. */
static int sync_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    int fd, result;

    if (len >= sizeof folder) return 0;
    memcpy(folder, path, len);
    folder[len] = 0;
    if (slash == NULL) (void)snprintf(folder, sizeof folder, ".");
    if (slash == path) (void)snprintf(folder, sizeof folder, "/");
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -1;
    result = fsync(fd);
    /* Some file systems cannot sync a folder and say EINVAL; then there is nothing to wait for. */
    if (result != 0 && errno == EINVAL) result = 0;
    (void)close(fd);
    return result;
}

/* @return 0 or an errno */
static int fill_temporary(int fd, const struct key_pair *pair)
{
    char text[KEY_PAIR_TEXT_SIZE];
    size_t len = key_pair_encode(pair, text);
    int number = 0;

    /* The umask may have taken bits that the owner needs. */
    if (fchmod(fd, 0600) != 0 || write_all(fd, text, len) != 0 || fsync(fd) != 0) number = errno;
    secret_zero(text, sizeof text);
    if (close(fd) != 0 && number == 0) number = errno;
    return number;
}

int key_file_save(const char *path, const struct key_pair *pair, weir_error *error)
{
    char name[PATH_MAX];
    int number, fd = open_temporary(path, name, sizeof name);

    if (fd < 0) {
        number = errno;
        if (number == ENOENT || number == ENOTDIR) {
            return fail_with(error, WEIR_E_IO,
                             "the folder of the key file %.120s does not exist: make it first",
                             path);
        }
        return fail_io(error, number, "creating", path);
    }
    number = fill_temporary(fd, pair);
    if (number == 0 && link(name, path) != 0) number = errno;
    (void)unlink(name);
    if (number == EEXIST) {
        return fail_with(error, WEIR_E_EXISTS,
                         "%.120s exists and is not overwritten: choose"
                         " another name, or move the old key away",
                         path);
    }
    if (number != 0) return fail_io(error, number, "writing", path);
    if (sync_folder(path) != 0) return fail_io(error, errno, "writing", path);
    return 0;
}
