/* One section [program:x] as the supervisor reads it, rights and limits too, and behind a byte 0x1e its file of variables. */
#include "common/conf.h"
#include "tests/fuzz/folder.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    folder_init();
    return 0;
}

static void check_rights(const struct conf_rights *r)
{
    if (r->umask < -1 || r->umask > 0777 || r->nice < -20 || r->nice > 19 || strnlen(r->oom_score_adj, CONF_OOM_BYTES) == CONF_OOM_BYTES)
        abort();
    for (size_t i = 0; i < r->limits_n; i++)
        if (!r->limits[i].name || r->limits[i].soft > r->limits[i].hard)
            abort();
}

static void check_environment(const struct conf *c, const struct conf_program *p)
{
    char **environment = conf_environment(c, p, NULL);
    if (!environment)
        abort();
    for (char **e = environment; *e; e++)
        if (!strchr(*e, '=') || **e == '=' || strchr(*e, '\n'))
            abort();
    conf_environment_free(environment);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char *nothing[] = {NULL};
    static const char head[] = "[preload]\nmodels = none\n[program:x]\ncommand = x\nenv_file = preload-models.txt\n";
    const uint8_t *mark = memchr(data, 0x1e, size);
    size_t ini_n = mark ? (size_t)(mark - data) : size;
    struct conf *c = NULL;
    struct diag d;
    if (memmem(data, size, "_FILE", 5) || memmem(data, ini_n, "env_file", 8)) /* files of this machine */
        return 0;
    char *ini = malloc(sizeof head + ini_n);
    if (!ini)
        return 0;
    memcpy(ini, head, sizeof head - 1);
    memcpy(ini + sizeof head - 1, data, ini_n);
    put(file, ini, sizeof head - 1 + ini_n);
    put(models, mark ? mark + 1 : data, mark ? size - ini_n - 1 : 0); /* here it is the file of variables */
    free(ini);
    diag_init(&d);
    int error = conf_load_to_start(&c, file, nothing, &d);
    if ((error == 0) != (c != NULL) || (error != 0) != (d.errors_n > 0))
        abort();
    const struct conf_program *p = c ? conf_program(c, "x") : NULL;
    if (p) {
        check_rights(conf_rights(c, p));
        check_environment(c, p);
    }
    conf_free(&c);
    diag_fini(&d);
    return 0;
}
