/* SPDX-License-Identifier: MIT */
/* Goal: a key file is its owner's alone, appears whole or not at all, and what is wrong with one is
 * said in a sentence. Method: a folder of the test's own, real files, modes and links. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "host/key_file.h"
#include "watchdog.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char folder[64];
static char path[128];
static struct key_pair pair;
static weir_error error;

static int set_up(void **state)
{
    static const uint8_t seed[32] = {1, 2, 3};

    (void)state;
    assert_int_equal(secret_init(), 0);
    (void)snprintf(folder, sizeof folder, "/tmp/weir-key-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/peer.key", folder);
    key_pair_from_seed(&pair, seed);
    memset(&error, 0, sizeof error);
    error.size = sizeof error;
    return 0;
}

/* Files in the folder; removes them if told to. */
static int count_files(bool removes)
{
    DIR *d = opendir(folder);
    struct dirent *entry;
    int count = 0;

    assert_non_null(d);
    while ((entry = readdir(d)) != NULL) {
        char name[512];

        if (entry->d_name[0] == '.') continue;
        count++;
        (void)snprintf(name, sizeof name, "%s/%s", folder, entry->d_name);
        if (removes) (void)remove(name);
    }
    (void)closedir(d);
    return count;
}

static int tear_down(void **state)
{
    (void)state;
    (void)count_files(true);
    return rmdir(folder);
}

static void write_file(const char *name, const char *text, size_t len, mode_t mode)
{
    FILE *f = fopen(name, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(name, mode), 0);
}

static void test_a_saved_key_is_loaded(void **state)
{
    struct key_pair loaded;
    struct stat st;
    mode_t mask = umask(0777); /* even that leaves the owner in */
    int before = descriptors_open();

    (void)state;
    assert_int_equal(key_file_save(path, &pair, &error), 0);
    (void)umask(mask);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_nlink, 1);
    assert_int_equal(count_files(false), 1);
    assert_int_equal(key_file_load(path, &loaded, &error), 0);
    assert_memory_equal(&loaded, &pair, sizeof pair);
    assert_memory_equal(&loaded.id, &pair.id, sizeof pair.id);
    assert_int_equal(descriptors_open(), before);
}

static void test_a_file_that_is_there_is_never_overwritten(void **state)
{
    struct key_pair other, loaded;
    static const uint8_t seed[32] = {9};

    (void)state;
    key_pair_from_seed(&other, seed);
    assert_int_equal(key_file_save(path, &pair, &error), 0);
    assert_int_equal(key_file_save(path, &other, &error), WEIR_E_EXISTS);
    assert_int_equal(error.code, WEIR_E_EXISTS);
    assert_non_null(strstr(error.detail, path));
    assert_int_equal(count_files(false), 1); /* nothing half-done stays behind */
    assert_int_equal(key_file_load(path, &loaded, NULL), 0);
    assert_memory_equal(&loaded, &pair, sizeof pair);
}

static void test_a_link_to_nowhere_is_not_followed_when_saving(void **state)
{
    char target[192];

    (void)state;
    (void)snprintf(target, sizeof target, "%s/elsewhere", folder);
    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(key_file_save(path, &pair, &error), WEIR_E_EXISTS);
    assert_int_not_equal(access(target, F_OK), 0);
}

static void test_access_of_others_is_refused_and_the_cure_is_named(void **state)
{
    static const struct {
        mode_t mode;
        int code;
        const char *text;
    } cases[] = {
        {0600, 0, ""},
        {0400, 0, ""},
        {0700, 0, ""},
        {0640, WEIR_E_KEY_FILE, "0640"},
        {0604, WEIR_E_KEY_FILE, "0604"},
        {0620, WEIR_E_KEY_FILE, "0620"},
        {0602, WEIR_E_KEY_FILE, "0602"},
        {0610, WEIR_E_KEY_FILE, "0610"},
        {0666, WEIR_E_KEY_FILE, "0666"},
    };
    struct key_pair loaded;
    char cure[160];
    size_t i;

    (void)state;
    (void)snprintf(cure, sizeof cure, "chmod 600 %s", path);
    assert_int_equal(key_file_save(path, &pair, &error), 0);
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(chmod(path, cases[i].mode), 0);
        assert_int_equal(key_file_load(path, &loaded, &error), cases[i].code);
        if (cases[i].code == 0) continue;
        assert_int_equal(loaded.seed[0], 0);
        assert_non_null(strstr(error.detail, cases[i].text));
        assert_non_null(strstr(error.detail, cure));
    }
}

static void test_a_file_of_somebody_else_is_refused(void **state)
{
    struct key_pair loaded;

    (void)state;
    if (geteuid() != 0) SKIP("only root can give a file away");
    assert_int_equal(key_file_save(path, &pair, &error), 0);
    assert_int_equal(chown(path, 12345, (gid_t)-1), 0);
    assert_int_equal(key_file_load(path, &loaded, &error), WEIR_E_KEY_FILE);
    assert_non_null(strstr(error.detail, "12345"));
}

static void test_what_is_no_key_file_is_refused(void **state)
{
    struct key_pair loaded;
    char text[KEY_PAIR_TEXT_SIZE + 200], fifo[192];
    size_t len = key_pair_encode(&pair, text), i;

    (void)state;
    write_file(path, "", 0, 0600);
    assert_int_equal(key_file_load(path, &loaded, &error), WEIR_E_KEY);
    /* Cut short anywhere but in the last line end, or longer than any key file. */
    for (i = 1; i + 1 < len; i++) {
        write_file(path, text, i, 0600);
        assert_int_equal(key_file_load(path, &loaded, &error), WEIR_E_KEY);
        assert_int_equal(loaded.seed[0], 0);
    }
    assert_non_null(strstr(error.detail, path));
    memset(text + len, '\n', sizeof text - len);
    write_file(path, text, sizeof text, 0600);
    assert_int_equal(key_file_load(path, &loaded, &error), WEIR_E_KEY);
    assert_int_equal(key_file_load(folder, &loaded, &error), WEIR_E_KEY);
    assert_non_null(strstr(error.detail, "is not a file"));
    (void)snprintf(fifo, sizeof fifo, "%s/pipe", folder);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(key_file_load(fifo, &loaded, &error), WEIR_E_KEY); /* and does not hang */
}

static void test_a_name_that_leads_nowhere_is_told(void **state)
{
    struct key_pair loaded;
    char far_away[192], long_name[PATH_MAX + 64];

    (void)state;
    assert_int_equal(key_file_load(path, &loaded, &error), WEIR_E_NOT_FOUND);
    assert_non_null(strstr(error.detail, path));
    (void)snprintf(far_away, sizeof far_away, "%s/none/peer.key", folder);
    assert_int_equal(key_file_save(far_away, &pair, &error), WEIR_E_IO);
    assert_non_null(strstr(error.detail, "does not exist"));
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = 0;
    assert_int_equal(key_file_save(long_name, &pair, &error), WEIR_E_IO);
    assert_int_equal(key_file_load(long_name, &loaded, &error), WEIR_E_IO);
    assert_int_equal(count_files(false), 0);
}

static void test_a_name_without_a_folder_is_in_this_one(void **state)
{
    struct key_pair loaded;
    char here[PATH_MAX];

    (void)state;
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(key_file_save("peer.key", &pair, &error), 0);
    assert_int_equal(chdir(here), 0);
    assert_int_equal(key_file_load(path, &loaded, &error), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_saved_key_is_loaded),
        TEST(test_a_file_that_is_there_is_never_overwritten),
        TEST(test_a_link_to_nowhere_is_not_followed_when_saving),
        TEST(test_access_of_others_is_refused_and_the_cure_is_named),
        TEST(test_a_file_of_somebody_else_is_refused),
        TEST(test_what_is_no_key_file_is_refused),
        TEST(test_a_name_that_leads_nowhere_is_told),
        TEST(test_a_name_without_a_folder_is_in_this_one),
    };

    return cmocka_run_group_tests(tests, watchdog_start, NULL);
}
