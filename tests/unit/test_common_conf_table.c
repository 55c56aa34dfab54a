/* common/conf: every row of the table of parameters: its default, its bounds, its words. */
#include "common/conf_internal.h"

#include "tests/unit/conf_case.h"

#include <errno.h>

static struct conf_head *instance(struct conf *c, const struct conf_section *s)
{
    struct conf_head *at = conf_existing(c, s, s->is_named ? "ollama" : NULL);
    assert_non_null(at);
    return at;
}

static void *field(struct conf_head *at, const struct conf_param *p)
{
    return (char *)at + p->offset;
}

/* Sets one row as the file would; what was told goes to d. */
static int set(struct conf *c, const struct conf_section *s, const struct conf_param *p, const char *text, struct diag *d)
{
    struct conf_origin origin = {.kind = CONF_FROM_FILE, .line = 7};
    return conf_set(c, instance(c, s), p, text, &origin, d);
}

typedef void each_row_fn(struct conf_case *k, const struct conf_section *s, const struct conf_param *p);

static void each_row(each_row_fn *fn)
{
    struct conf_case k;
    conf_case_begin(&k);
    static const char text[] = "[pin:ollama]\n[key:ollama]\nsecret = 0123456789abcdef\n[backend:ollama]\nurl = http://h\n[strategy:ollama]\nmodel = m\n"
#ifdef WITH_MODELS
                               "[engine:ollama]\ncommand = serve %(path)s %(port)s\n"
#endif
        ;
    conf_case_load(&k, text, NULL); /* each named section has one of this name */
    conf_case_good(&k);
    for (size_t i = 0; i < conf_sections_n; i++)
        for (size_t j = 0; j < conf_sections[i].params_n; j++)
            fn(&k, &conf_sections[i], &conf_sections[i].params[j]);
    conf_case_end(&k);
}

static void takes(struct conf_case *k, const struct conf_section *s, const struct conf_param *p, const char *text,
                  int64_t value)
{
    unsigned errors_n = k->diag.errors_n;
    if (set(k->conf, s, p, text, &k->diag) != 0)
        fail_msg("[%s] %s = %s: %.*s", s->name, conf_param_key(p), text, (int)buf_size(&k->diag.text), buf_data(&k->diag.text));
    assert_int_equal(k->diag.errors_n, errors_n);
    int is_int = p->kind == CONF_BOOL || p->kind == CONF_WORD || p->kind == CONF_SIGNAL;
    int64_t got = is_int ? *(int *)field(instance(k->conf, s), p) : *(int64_t *)field(instance(k->conf, s), p);
    if (got != value)
        fail_msg("[%s] %s = %s became %lld", s->name, conf_param_key(p), text, (long long)got);
}

static void refuses(struct conf_case *k, const struct conf_section *s, const struct conf_param *p, const char *text)
{
    unsigned errors_n = k->diag.errors_n;
    int error = set(k->conf, s, p, text, &k->diag);
    if (error != -EINVAL || k->diag.errors_n != errors_n + 1)
        fail_msg("[%s] %s = %s was taken", s->name, conf_param_key(p), text);
    char place[SCRATCH_PATH_BYTES + 128];
    snprintf(place, sizeof place, "%s:7: error: [%s%s] %s: ", k->file, s->name, s->is_named ? ":ollama" : "", conf_param_key(p));
    assert_non_null(memmem(buf_data(&k->diag.text), buf_size(&k->diag.text), place, strlen(place)));
}

static int is_number(const struct conf_param *p)
{
    return p->kind == CONF_DURATION || p->kind == CONF_SIZE || p->kind == CONF_INTEGER;
}

static const char *number_text(const struct conf_param *p, int64_t value, char out[40])
{
    snprintf(out, 40, p->kind == CONF_DURATION ? "%lldms" : "%lld", (long long)value);
    return out;
}

static void check_bounds(struct conf_case *k, const struct conf_section *s, const struct conf_param *p)
{
    char text[40];
    if (!is_number(p))
        return;
    assert_true((p->min >= 0 || p->kind == CONF_INTEGER) && p->min < p->max);
    takes(k, s, p, number_text(p, p->min, text), p->min);
    takes(k, s, p, number_text(p, p->max, text), p->max);
    refuses(k, s, p, number_text(p, p->max + 1, text));
    refuses(k, s, p, number_text(p, p->min - 1, text)); /* -1, where 0 is the least */
    refuses(k, s, p, "");
    refuses(k, s, p, "1e9h");
    refuses(k, s, p, "-1s");
    if (p->kind == CONF_DURATION) {
        refuses(k, s, p, "60");
        refuses(k, s, p, "5 m");
    }
    takes(k, s, p, number_text(p, p->max, text), p->max); /* what was refused has not broken the row */
}

static void test_numbers_take_min_and_max_and_nothing_beyond(void **state)
{
    (void)state;
    each_row(check_bounds);
}

static void check_words(struct conf_case *k, const struct conf_section *s, const struct conf_param *p)
{
    if (p->kind == CONF_BOOL) {
        takes(k, s, p, "yes", 1);
        takes(k, s, p, "off", 0);
        refuses(k, s, p, "");
        refuses(k, s, p, "maybe");
    }
    if (p->kind == CONF_SIGNAL) {
        takes(k, s, p, "SIGINT", 2);
        refuses(k, s, p, "SIGBLUE");
    }
    if (p->kind != CONF_WORD)
        return;
    int index = 0;
    for (const char *word = conf_param_words(p); *word; index++) {
        char text[64];
        size_t n = strcspn(word, "|");
        snprintf(text, sizeof text, "%.*s", (int)n, word);
        takes(k, s, p, text, index);
        word += n + (word[n] == '|');
    }
    assert_true(index >= 2);
    refuses(k, s, p, "");
    refuses(k, s, p, conf_param_words(p));
    refuses(k, s, p, "nonesuch");
}

static void test_words_switches_and_signals(void **state)
{
    (void)state;
    each_row(check_words);
}

/* Rows whose value is completed after reading: from other rows, the user, or what is built in. */
static int is_completed(const struct conf_section *s, const struct conf_param *p)
{
    static const char *const keys[][2] = {{"supervisor", "control_socket"}, {"supervisor", "state_dir"},
                                          {"program", "command"}, {"program", "ready"},
                                          {"program", "live"}, {"key", "secret"}, {"backend", "url"}, {"strategy", "model"}, {"engine", "command"}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(keys[i][0], s->name) == 0 && strcmp(keys[i][1], conf_param_key(p)) == 0)
            return 1;
    return 0;
}

static void check_default(struct conf_case *k, const struct conf_section *s, const struct conf_param *p)
{
    struct conf_head *at = instance(k->conf, s);
    const struct conf_origin *o = conf_origin(at, s, conf_param_key(p));
    char before[sizeof(struct list)] = {0};
    if (is_completed(s, p))
        return;
    assert_int_equal(o->kind, CONF_FROM_DEFAULT);
    assert_string_equal(o->text, conf_param_default(p));
    int is_int = p->kind == CONF_BOOL || p->kind == CONF_WORD || p->kind == CONF_SIGNAL;
    size_t size = is_int ? sizeof(int) : sizeof(int64_t);
    memcpy(before, field(at, p), size);
    unsigned errors_n = k->diag.errors_n;
    assert_int_equal(set(k->conf, s, p, conf_param_default(p), &k->diag), 0); /* a row takes its own default */
    assert_int_equal(k->diag.errors_n, errors_n);
    if (is_int || is_number(p))
        assert_memory_equal(before, field(at, p), size);
}

static void test_every_row_has_its_default_and_takes_it(void **state)
{
    (void)state;
    each_row(check_default);
}

static void check_row(struct conf_case *k, const struct conf_section *s, const struct conf_param *p)
{
    (void)k;
    assert_ptr_equal(conf_param_section(p), s);
    assert_ptr_equal(conf_find_param(s, conf_param_key(p)), p); /* no key stands twice */
    assert_int_equal(strspn(conf_param_key(p), "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(conf_param_key(p)));
}

static void test_every_row_stands_once(void **state)
{
    (void)state;
    each_row(check_row);
}

static void check_planned(struct conf_case *k, const struct conf_section *s, const struct conf_param *p)
{
    unsigned warnings_n = k->diag.warnings_n;
    assert_int_equal(set(k->conf, s, p, conf_param_default(p), &k->diag), 0);
    if (k->diag.warnings_n != warnings_n + (p->is_planned ? 1 : 0))
        fail_msg("[%s] %s is %s", s->name, conf_param_key(p), p->is_planned ? "planned, and not warned of" : "in force, and warned of");
}

static void test_planned_rows_alone_warn_when_they_are_set(void **state)
{
    (void)state;
    each_row(check_planned);
}

static void test_the_help_is_an_ini_file_with_every_row(void **state)
{
    (void)state;
    struct buf text;
    struct conf_case k;
    buf_init(&text, 0);
    assert_int_equal(conf_help(&text), 0);
    for (size_t i = 0; i < conf_sections_n; i++) {
        for (size_t j = 0; j < conf_sections[i].params_n; j++) {
            char line[300];
            const struct conf_param *p = &conf_sections[i].params[j];
            snprintf(line, sizeof line, "\n;%s = %s\n", conf_param_key(p), conf_param_default(p));
            const char *at = memmem(buf_data(&text), buf_size(&text), line, strlen(line));
            if (!at)
                fail_msg("--help has no %s", conf_param_key(p));
            const char *help = memrchr(buf_data(&text), '\n', (size_t)(at - buf_data(&text)));
            if (!help || strncmp(help, "\n; ", 3) != 0 || at - help < 10)
                fail_msg("--help does not say what %s is for", conf_param_key(p));
        }
    }
    conf_case_begin(&k); /* [program:NAME], all commented out, wants a command, a key its secret, a backend its url, a strategy its model, an engine its command; nothing else is wrong */
    conf_case_load_bytes(&k, buf_data(&text), buf_size(&text), NULL);
    static const char *const wanted[] = {"[program:NAME] command", "[key:NAME] secret", "[backend:NAME] url", "[strategy:NAME] model",
#ifdef WITH_MODELS
                                         "[engine:NAME] command",
#endif
    };
    enum { WANTED_N = sizeof wanted / sizeof *wanted };
    assert_int_equal(k.diag.errors_n, WANTED_N);
    for (size_t i = 0; i < WANTED_N; i++)
        assert_non_null(memmem(buf_data(&k.diag.text), buf_size(&k.diag.text), wanted[i], strlen(wanted[i])));
    conf_case_end(&k);
    buf_fini(&text);
}

static void test_defaults_of_the_whole(void **state)
{
    (void)state;
    struct conf_case k;
    conf_case_begin(&k);
    conf_case_load(&k, "", NULL);
    conf_case_good(&k);
    const struct conf *c = k.conf;
    assert_int_equal(c->programs_n, 3);
    assert_string_equal(c->programs[0].name, "ollama");
    assert_string_equal(c->programs[1].name, "proxy");
    assert_string_equal(c->programs[2].name, "preload");
    assert_int_equal(c->listen_n, 1);
    assert_int_equal(c->listen[0].port, 11434);
    assert_string_equal(c->ollama.host, "127.0.0.1");
    assert_int_equal(c->ollama.port, 11435);
    assert_true(address_equal(&c->backend, &c->ollama));
    assert_true(c->is_backend_ours);
    assert_false(c->is_ollama_moved);
    assert_string_equal(c->programs[0].ready, "http://127.0.0.1:11435/api/tags");
    assert_int_equal(c->supervisor.shutdown_timeout_ms, 8000);
    assert_int_equal(c->supervisor.idle_timeout_ms, 0);
    assert_int_equal(c->programs[2].required, 0);
    assert_int_equal(k.diag.warnings_n, 0);
    conf_case_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_take_min_and_max_and_nothing_beyond),
        cmocka_unit_test(test_words_switches_and_signals),
        cmocka_unit_test(test_every_row_has_its_default_and_takes_it),
        cmocka_unit_test(test_every_row_stands_once),
        cmocka_unit_test(test_planned_rows_alone_warn_when_they_are_set),
        cmocka_unit_test(test_the_help_is_an_ini_file_with_every_row),
        cmocka_unit_test(test_defaults_of_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
