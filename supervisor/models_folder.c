/* See models_folder.h. */
#include "supervisor/models_folder.h"

#include "common/hash.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* models/manifests/REGISTRY/NAMESPACE/MODEL/TAG; of the home's .ollama the files alone, such as its key. */
enum { MODELS_DEPTH = 5, HOME_DEPTH = 0, TELL_MODELS = 0, TELL_HOME = 1, TELL_FORGOTTEN = 2, LINE_BYTES = 3 * FOLDER_PATH_BYTES };

void models_folder_init(struct models_folder *m)
{
    *m = (struct models_folder){.lock_fd = -1};
}

void models_folder_fini(struct models_folder *m)
{
    sys_close(m->lock_fd);
    m->lock_fd = -1;
}

/* 0 where the line was said before: a reload prepares again. */
static int is_new(struct models_folder *m, int what, const char *line)
{
    uint64_t h = hash_bytes(HASH_START, line, strlen(line));
    int is_same = m->told[what] == h;
    m->told[what] = h;
    return !is_same;
}

static const char *user_text(unsigned uid, struct sys_user *room)
{
    if (sys_user_by_id(uid, room) < 0)
        snprintf(room->name, sizeof room->name, "%u", uid);
    return room->name;
}

/* Ollama's user could not write there: what it is, whose, and what to do. */
static void tell_blocked(struct models_folder *m, int what, const char *path, const struct folder *f,
                         const struct conf_rights *r)
{
    struct sys_user owner, user;
    char line[LINE_BYTES], hint[FOLDER_PATH_BYTES + 256];
    const char *name = user_text(r->uid, &user);
    if (f->is_entry_blocked && strcmp(path, "/") == 0)
        snprintf(hint, sizeof hint, "choose a folder of its own");
    else if (f->is_entry_blocked)
        snprintf(hint, sizeof hint, "chown -R %u:%u %s", r->uid, r->gid, path);
    else
        snprintf(hint, sizeof hint, "let %.64s enter it, or choose another folder by %s", name,
                 what == TELL_HOME ? "HOME" : "OLLAMA_MODELS");
    snprintf(line, sizeof line, "path=\"%s\" owner=%.64s user=%.64s hint=\"%s\"", f->blocked,
             user_text(f->blocked_uid, &owner), name, hint);
    if (is_new(m, what, line))
        log_event(LOG_WARNING, "models_kept", "%s", line);
}

/* It can't be made, or given. Ollama may still know better. */
static void tell_failed(struct models_folder *m, int what, const char *path, const char *why)
{
    char line[LINE_BYTES];
    snprintf(line, sizeof line, "path=\"%s\" error=\"%s\"", path, why);
    if (is_new(m, what, line))
        log_event(LOG_WARNING, "models_failed", "%s", line);
}

/* What is there is served. */
static void tell_read_only(struct models_folder *m, const char *path)
{
    if (is_new(m, TELL_MODELS, path))
        log_event(LOG_WARNING, "models_read_only", "path=\"%s\" hint=\"its file system is mounted read-only: no model can be pulled or removed\"", path);
}

/* Somebody's link leads where Ollama's user may not write. Root would, and be led by that link, so Ollama stays who it is. */
static int is_led_astray(struct models_folder *m, int what, const char *path, const struct folder *f)
{
    if (!f->is_foreign || !f->blocked[0])
        return 0;
    tell_failed(m, what, path, "a link that is not root's leads to what Ollama's user may not write: mount or name that folder instead");
    return 1;
}

/* Makes one folder and looks at it; 1 where the user could not write there. */
static int prepare(struct models_folder *m, int what, const char *path, const struct conf_rights *r)
{
    struct folder f;
    int error = folder_open(&f, path, r);
    if (error && is_led_astray(m, what, path, &f))
        return 0;
    if (error && f.blocked[0])
        tell_blocked(m, what, path, &f, r);
    else if (error)
        tell_failed(m, what, path, strerror(-error));
    if (error)
        return f.blocked[0] || (f.is_made && r->has_ids); /* made, and could not be given */
    if (f.is_made && r->has_ids)
        log_event(LOG_DEBUG, "models_made", "path=\"%s\" uid=%u gid=%u", path, r->uid, r->gid);
    else if (f.is_made)
        log_event(LOG_DEBUG, "models_made", "path=\"%s\"", path);
    folder_judge(&f, r, what == TELL_HOME ? HOME_DEPTH : MODELS_DEPTH);
    int is_astray = is_led_astray(m, what, path, &f), is_blocked = f.blocked[0] && !is_astray;
    if (is_blocked)
        tell_blocked(m, what, path, &f, r);
    else if (!is_astray && what == TELL_MODELS && sys_is_read_only(f.fd) == 1)
        tell_read_only(m, path);
    else if (!is_astray)
        m->told[what] = 0;
    folder_close(&f);
    return is_blocked;
}

static int is_folder(const char *path)
{
    int fd = sys_open(path, O_PATH | O_DIRECTORY, 0);
    sys_close(fd);
    return fd >= 0;
}

/* Ollama keeps its key in HOME/.ollama, and does not start without. The home itself is not ours to make. */
static int prepare_home(struct models_folder *m, const char *home, const struct conf_rights *r)
{
    char path[FOLDER_PATH_BYTES];
    if (!home || home[0] != '/' || snprintf(path, sizeof path, "%s/.ollama", home) >= (int)sizeof path)
        return 0;
    if (is_folder(home))
        return prepare(m, TELL_HOME, path, r);
    tell_failed(m, TELL_HOME, path, "there is no such home, where Ollama keeps its key: set HOME in the program's environment");
    return 0;
}

/* Where the models are, as an absolute path; "" where nobody knows. */
static void find(struct models_folder *m, const struct conf *c, const struct conf_program *ollama, char **environment,
                 const char *start_dir)
{
    const char *models = conf_variable(environment, "OLLAMA_MODELS"), *home = conf_variable(environment, "HOME");
    char *directory = ollama->directory[0] ? conf_path(c, ollama->directory) : NULL;
    int n = 0;
    m->path[0] = '\0';
    if (models && models[0] == '/')
        n = snprintf(m->path, sizeof m->path, "%s", models);
    else if (models && *models)
        n = snprintf(m->path, sizeof m->path, "%s/%s", directory ? directory : start_dir, models);
    else if (home && home[0] == '/')
        n = snprintf(m->path, sizeof m->path, "%s/.ollama/models", home);
    if (n >= (int)sizeof m->path)
        m->path[0] = '\0';
    free(directory);
}

static int is_below(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && path[n] == '/';
}

static uint64_t device_of(const char *path)
{
    struct sys_file file = {.device = 0};
    int fd = sys_open(path, O_PATH | O_DIRECTORY, 0);
    if (fd >= 0 && sys_file(fd, &file) < 0)
        file.device = 0;
    sys_close(fd);
    return file.device;
}

/* On Fly.io the root file system is made anew whenever the machine starts: each start would pull all models again. */
static void tell_forgotten(struct models_folder *m, char **environment)
{
    const char *app = conf_variable(environment, "FLY_APP_NAME");
    uint64_t device = app && *app && m->path[0] ? device_of(m->path) : 0;
    if (device != 0 && device == device_of("/") && is_new(m, TELL_FORGOTTEN, m->path))
        log_event(LOG_WARNING, "models_forgotten", "path=\"%s\" hint=\"Fly.io makes the root file system anew at each start: mount a volume there, by [mounts] of fly.toml\"", m->path);
}

int models_folder_prepare(struct models_folder *m, const struct conf *c, const char *start_dir)
{
    const struct conf_program *ollama = conf_program(c, "ollama");
    const struct conf_rights *r = conf_rights(c, ollama);
    char **environment = conf_environment(c, ollama, NULL);
    int is_kept = 0;
    if (!environment)
        return 0;
    find(m, c, ollama, environment, start_dir);
    const char *home = conf_variable(environment, "HOME");
    /* The home first, as its .ollama may be on the way to the models; but a volume is given away only while it is empty. */
    int is_home_last = home && (strcmp(home, m->path) == 0 || is_below(home, m->path));
    if (r->has_ids && !is_home_last)
        is_kept = prepare_home(m, home, r);
    int is_homeless = r->has_ids && home && is_below(m->path, home) && !is_folder(home);
    if (m->path[0] && (ollama->autostart || r->has_ids) && !is_kept && !is_homeless)
        is_kept = prepare(m, TELL_MODELS, m->path, r);
    if (r->has_ids && is_home_last && !is_kept)
        is_kept = prepare_home(m, home, r);
    tell_forgotten(m, environment);
    conf_environment_free(environment);
    return is_kept;
}

void models_folder_claim(struct models_folder *m)
{
    if (m->lock_fd >= 0 || m->path[0] == '\0')
        return;
    m->lock_fd = sys_open(m->path, O_RDONLY | O_DIRECTORY, 0);
    if (m->lock_fd >= 0 && sys_lock(m->lock_fd) == -EWOULDBLOCK)
        log_event(LOG_WARNING, "models_shared", "folder=\"%s\" hint=\"another ollama-sidecar uses these models: pulls of both may disturb each other\"", m->path);
}
