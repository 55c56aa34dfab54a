/* supervisor/folder, supervisor/models_folder: a folder for a user: made, given, judged; and nothing that is not his. */
#include "supervisor/models_folder.h"

#include "common/log.h"

#include "tests/unit/conf_case.h"
#include "tests/unit/stderr_pipe.h"

#include <errno.h>
#include <ftw.h>

enum { SOMEBODY = 65534, GROUP = 65533, OTHER = 4321 };

static struct conf_case k; /* its folder is where all of it happens */
static struct conf_rights rights;
static unsigned groups[4];
static struct folder folder;
static char room[SCRATCH_PATH_BYTES];

static int setup(void **state)
{
    (void)state;
    conf_case_begin(&k);
    rights = (struct conf_rights){.has_ids = 1, .uid = SOMEBODY, .gid = GROUP, .groups = groups, .umask = -1};
    folder.fd = -1;
    return chmod(k.scratch.dir, 0755);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static int teardown(void **state)
{
    (void)state;
    folder_close(&folder);
    assert_int_equal(nftw(k.scratch.dir, remove_one, 20, FTW_DEPTH | FTW_PHYS), 0);
    conf_case_end(&k);
    return 0;
}

static void skip_without_root(void)
{
    if (geteuid() != 0) {
        print_message("SKIPPED: only root gives folders away\n");
        skip();
    }
}

static const char *at(const char *name)
{
    return scratch_path(&k.scratch, name, room);
}

static void make(const char *name, unsigned uid, unsigned mode)
{
    char path[SCRATCH_PATH_BYTES];
    assert_int_equal(mkdir(scratch_path(&k.scratch, name, path), 0700), 0);
    assert_int_equal(chown(path, uid, uid), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void make_file(const char *name, unsigned uid, unsigned mode)
{
    char path[SCRATCH_PATH_BYTES];
    scratch_text(&k.scratch, name, "x");
    assert_int_equal(chown(scratch_path(&k.scratch, name, path), uid, uid), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void owned(const char *name, unsigned uid, unsigned gid)
{
    struct stat st;
    assert_int_equal(lstat(at(name), &st), 0);
    if (st.st_uid != uid || st.st_gid != gid)
        fail_msg("%s belongs to %u:%u", name, st.st_uid, st.st_gid);
}

static int open_at(const char *name)
{
    folder_close(&folder);
    return folder_open(&folder, at(name), &rights);
}

/* What keeps the user from it; "" nothing. */
static const char *blocked(const char *name)
{
    assert_int_equal(open_at(name), 0);
    folder_judge(&folder, &rights, 5);
    return folder.blocked[0] ? folder.blocked + strlen(k.scratch.dir) : "";
}

static void test_what_is_made_is_the_users(void **state)
{
    (void)state;
    skip_without_root();
    make("data", 0, 0755);
    assert_string_equal(blocked("data/a/b//c/"), "");
    assert_true(folder.is_made);
    owned("data", 0, 0); /* it was there */
    owned("data/a", SOMEBODY, GROUP);
    owned("data/a/b/c", SOMEBODY, GROUP);
    assert_string_equal(blocked("data/a/b/c"), "");
    assert_false(folder.is_made);
}

static void test_an_empty_folder_is_given(void **state)
{
    (void)state;
    skip_without_root();
    make("fresh", 0, 0755);
    make("fresh/lost+found", 0, 0700);
    assert_string_equal(blocked("fresh"), "");
    assert_true(folder.is_made);
    owned("fresh", SOMEBODY, GROUP);
    owned("fresh/lost+found", 0, 0);
    make("used", 0, 0755);
    make_file("used/x", 0, 0666);
    assert_string_equal(blocked("used"), "/used");
    assert_true(folder.is_entry_blocked);
    assert_int_equal(folder.blocked_uid, 0);
    owned("used", 0, 0);
    make("others", OTHER, 0755); /* empty, and neither ours nor his */
    assert_string_equal(blocked("others"), "/others");
    assert_int_equal(folder.blocked_uid, OTHER);
    owned("others", OTHER, OTHER);
}

static void test_what_is_in_it_counts(void **state)
{
    (void)state;
    skip_without_root();
    make("m", SOMEBODY, 0755);
    make("m/blobs", SOMEBODY, 0755);
    make_file("m/blobs/mine", SOMEBODY, 0600);
    assert_string_equal(blocked("m"), "");
    make_file("m/history", 0, 0600); /* of `docker exec … ollama run`: the server has no use for it */
    assert_string_equal(blocked("m"), "");
    make_file("m/blobs/roots", 0, 0644);
    assert_string_equal(blocked("m"), "/m/blobs/roots");
    assert_true(folder.is_entry_blocked);
    assert_int_equal(chmod(at("m/blobs/roots"), 0666), 0); /* anybody may */
    assert_string_equal(blocked("m"), "");
    assert_int_equal(chmod(at("m/blobs/roots"), 0660), 0);
    assert_int_equal(chown(at("m/blobs/roots"), 0, OTHER), 0); /* by a group */
    assert_string_equal(blocked("m"), "/m/blobs/roots");
    rights.groups[rights.groups_n++] = OTHER;
    assert_string_equal(blocked("m"), "");
    rights.groups_n = 0;
    rights.gid = OTHER;
    assert_string_equal(blocked("m"), "");
    make("m/manifests", SOMEBODY, 0755);
    make("m/manifests/r", SOMEBODY, 0755);
    make("m/manifests/r/l", SOMEBODY, 0755);
    make("m/manifests/r/l/model", 0, 0755);
    assert_string_equal(blocked("m"), "/m/manifests/r/l/model");
    folder_close(&folder);
    assert_int_equal(folder_open(&folder, at("m"), &rights), 0);
    folder_judge(&folder, &rights, 0); /* the files of the folder itself alone */
    assert_string_equal(folder.blocked, "");
}

static void test_a_way_that_can_not_be_gone(void **state)
{
    (void)state;
    skip_without_root();
    make("closed", 0, 0700);
    assert_string_equal(blocked("closed/models"), "/closed");
    assert_false(folder.is_entry_blocked);
    owned("closed/models", SOMEBODY, GROUP);
}

static void test_links(void **state)
{
    (void)state;
    char path[SCRATCH_PATH_BYTES];
    skip_without_root();
    make("real", 0, 0755);
    assert_int_equal(symlink("real", at("roots")), 0);
    assert_string_equal(blocked("roots/models"), ""); /* root's link is as good as a folder */
    owned("real/models", SOMEBODY, GROUP);
    assert_int_equal(symlink(scratch_path(&k.scratch, "real", path), at("absolute")), 0);
    assert_string_equal(blocked("absolute/more"), "");
    owned("real/more", SOMEBODY, GROUP);
    /* The user's own link must not get him what is not his. */
    make("precious", 0, 0755);
    make("precious/empty", 0, 0755);
    assert_int_equal(symlink("precious/empty", at("his")), 0);
    assert_int_equal(lchown(at("his"), SOMEBODY, GROUP), 0);
    assert_string_equal(blocked("his"), "/precious/empty");
    owned("precious/empty", 0, 0);
    assert_string_equal(blocked("his/models"), "/precious/empty"); /* nothing is made there either */
    assert_int_equal(access(at("precious/empty/models"), F_OK), -1);
    assert_int_equal(chown(at("precious/empty"), SOMEBODY, GROUP), 0);
    assert_string_equal(blocked("his/models"), ""); /* there he may make it himself */
    assert_int_equal(symlink("circle", at("circle")), 0);
    assert_int_equal(open_at("circle"), -ELOOP);
}

static void test_what_can_not_be_made(void **state)
{
    (void)state;
    rights = (struct conf_rights){.umask = -1};
    scratch_text(&k.scratch, "file", "x");
    assert_int_equal(open_at("file/models"), -ENOTDIR);
    assert_int_equal(open_at("file"), -ENOTDIR);
    assert_int_equal(folder.fd, -1);
    assert_int_equal(folder_open(&folder, "/proc/nothing", &rights), -ENOENT);
    static char endless[5000];
    memset(endless, 'x', sizeof endless - 1);
    endless[0] = '/';
    assert_int_equal(folder_open(&folder, endless, &rights), -ENAMETOOLONG);
    assert_int_equal(open_at("made/for/ourselves"), 0); /* who has no user is judged by nobody */
    folder_judge(&folder, &rights, 5);
    assert_true(folder.is_made && !folder.blocked[0]);
}

/* ---- models_folder ---- */

static struct models_folder models;

static int prepare(const char *ini, char **environment)
{
    conf_case_load(&k, ini, environment);
    conf_case_good(&k);
    return models_folder_prepare(&models, k.conf, k.scratch.dir);
}

/* Ollama would write in its home and in the models' folder: both are looked at, and each trouble is told once. */
static void test_ollama_is_kept_where_it_could_not_write(void **state)
{
    (void)state;
    char home[SCRATCH_PATH_BYTES + 8], said[4096];
    skip_without_root();
    make("home", SOMEBODY, 0755);
    snprintf(home, sizeof home, "HOME=%s", at("home"));
    char ini[SCRATCH_PATH_BYTES + 200];
    snprintf(ini, sizeof ini, "[program:ollama]\nuser = 65534:65533\nenvironment = %s\n", home);
    models_folder_init(&models);
    struct stderr_pipe log;
    stderr_pipe_begin(&log);
    int first = prepare(ini, NULL);
    stderr_pipe_take(&log, said, sizeof said);
    stderr_pipe_end(&log);
    assert_int_equal(first, 0);
    assert_non_null(strstr(said, " models_made "));
    owned("home/.ollama/models", SOMEBODY, GROUP);
    make_file("home/.ollama/id_ed25519", 0, 0600);
    stderr_pipe_begin(&log);
    int second = prepare(ini, NULL), third = prepare(ini, NULL);
    stderr_pipe_take(&log, said, sizeof said);
    stderr_pipe_end(&log);
    assert_true(second && third);
    char *line = strstr(said, " models_kept ");
    assert_non_null(line);
    assert_null(strstr(line + 1, " models_kept ")); /* once */
    assert_non_null(strstr(line, "id_ed25519\" owner=root user=nobody hint=\"chown -R 65534:65533 "));
    assert_int_equal(chown(at("home/.ollama/id_ed25519"), SOMEBODY, GROUP), 0);
    assert_int_equal(prepare(ini, NULL), 0);
    models_folder_fini(&models);
}

static void test_a_home_that_is_not_there_is_not_made(void **state)
{
    (void)state;
    char said[4096];
    static char set[SCRATCH_PATH_BYTES + 40];
    struct stderr_pipe log;
    skip_without_root();
    char *environment[] = {set, NULL};
    char ini[SCRATCH_PATH_BYTES + 200];
    snprintf(ini, sizeof ini, "[program:ollama]\nuser = 65534:65533\nenvironment = HOME=%s\n", at("nowhere"));
    models_folder_init(&models);
    stderr_pipe_begin(&log);
    int kept = prepare(ini, NULL);
    stderr_pipe_take(&log, said, sizeof said);
    stderr_pipe_end(&log);
    assert_int_equal(kept, 0);
    assert_non_null(strstr(said, " models_failed "));
    assert_non_null(strstr(said, "there is no such home"));
    assert_int_equal(access(at("nowhere"), F_OK), -1);
    snprintf(set, sizeof set, "OLLAMA_MODEL_CACHE_DIR=%s", at("volume")); /* elsewhere: it is made all the same */
    assert_int_equal(prepare(ini, environment), 0);
    owned("volume", SOMEBODY, GROUP);
    models_folder_fini(&models);
}

static void test_where_the_models_are(void **state)
{
    (void)state;
    static char home[SCRATCH_PATH_BYTES + 8], relative[] = "OLLAMA_MODELS=here";
    char *environment[] = {home, NULL, NULL};
    snprintf(home, sizeof home, "HOME=%s", at("home"));
    models_folder_init(&models);
    assert_int_equal(prepare("", environment), 0);
    assert_string_equal(models.path, at("home/.ollama/models"));
    assert_int_equal(access(models.path, W_OK), 0);
    environment[1] = relative; /* to where Ollama starts */
    assert_int_equal(prepare("", environment), 0);
    assert_string_equal(models.path, at("here"));
    assert_int_equal(mkdir(at("sub"), 0755), 0);
    assert_int_equal(prepare("[program:ollama]\ndirectory = sub\n", environment), 0);
    assert_string_equal(models.path, at("sub/here"));
    snprintf(home, sizeof home, "HOME=%s", at("not-started"));
    environment[1] = NULL;
    assert_int_equal(prepare("[program:ollama]\nautostart = no\n", environment), 0);
    assert_int_equal(access(at("not-started"), F_OK), -1); /* nothing is made for what nobody starts */
    static char *empty[] = {NULL};
    assert_int_equal(prepare("", empty), 0);
    assert_string_equal(models.path, "");
    models_folder_fini(&models);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_what_is_made_is_the_users),
        CASE(test_an_empty_folder_is_given),
        CASE(test_what_is_in_it_counts),
        CASE(test_a_way_that_can_not_be_gone),
        CASE(test_links),
        CASE(test_what_can_not_be_made),
        CASE(test_ollama_is_kept_where_it_could_not_write),
        CASE(test_a_home_that_is_not_there_is_not_made),
        CASE(test_where_the_models_are),
    };
    log_init("supervisor", LOG_DEBUG, LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
