/*
 * ollama-preload: sees to it that the models of a list are in an Ollama, or in several, and ends.
 *
 * As a child of ollama-supervisor it writes its rows on the shared page first of all, so that nobody asks for a model
 * whose row is not there yet; alone it just prints. It never decides what a missing model means for others: that is
 * the gate's business in the proxy, and `required` is the supervisor's. With --hub it does one job of the model server's instead (hub/job.h).
 *
 * Exit: 0 done, 1 a model is missing and [preload] required = yes, 100 usage or configuration (the list included),
 * 111 a system call failed, 128 + n stopped by signal n.
 */
#include "preload/main.h"

#include "common/conf.h"
#include "common/contract.h"
#include "preload/drive.h"
#ifdef WITH_MODELS
#include "preload/hub/job.h"
#endif
#include "preload/models.h"

#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

enum { EXIT_MISSING = 1, EXIT_CONFIGURATION = 100, EXIT_SYSTEM = 111, EXIT_SIGNAL = 128 };

static const char usage[] = "usage: ollama-preload [-c FILE] [--check | --dump | --help | --version]\n"
                            "Pulls the models of the preload list that the Ollama of supervisor.ini does not have.\n"
#ifdef WITH_MODELS
                            "\n  --hub       do one job in the cache of a Hugging Face hub, as standard input says (docs/hub-jobs.md)"
#endif
    ;

extern char **environ;

/* The gate must not wait for rows that never come. */
static void give_up(struct contract *contract)
{
    if (!contract->page)
        return;
    atomic_store(&contract->page->models_n, 0);
    atomic_store(&contract->page->phase, (uint32_t)CONTRACT_PHASE_DONE);
    (void)!contract_send(contract->channel_fd, CONTRACT_CHANGED, 0, NULL); /* it will notice our end too */
}

static int preload(const struct conf *conf, const struct list *names, struct contract *contract)
{
    struct models models;
    struct drive_result result = {0};
    int error = models_init(&models, names, contract, sys_monotonic_ms());
    if (!error)
        error = drive_run(conf, names, &models, &result);
    if (error) {
        give_up(contract);
        log_event(LOG_ERROR, "preload_broken", "error=\"%s\"", strerror(-error));
    }
    models_fini(&models);
    if (error)
        return EXIT_SYSTEM;
    if (result.stopped_by) /* as a shell tells it: whoever did not ask for it sees that the work is not done */
        return EXIT_SIGNAL + result.stopped_by;
    return result.failed_n > 0 && conf->preload.required ? EXIT_MISSING : 0;
}

static int read_list(const struct conf *conf, struct list *names)
{
    struct diag mistakes;
    diag_init(&mistakes);
    int error = conf_preload_list(conf, names, &mistakes);
    diag_print(&mistakes);
    diag_fini(&mistakes);
    return error;
}

/* With a configuration: reads the list and works on it. */
static int run(const struct conf *conf, struct contract *contract)
{
    struct list names = {0};
    int code = EXIT_SYSTEM;
    int error = read_list(conf, &names);
    if (error == -EINVAL)
        code = EXIT_CONFIGURATION;
    if (!error && curl_global_init(conf->is_fleet ? CURL_GLOBAL_SSL : CURL_GLOBAL_NOTHING) == CURLE_OK) {
        code = preload(conf, &names, contract);
        curl_global_cleanup();
    } else {
        give_up(contract);
    }
    list_fini(&names);
    return code;
}

#ifdef WITH_MODELS
/* Takes --hub out of the arguments: 1 where it was there. */
static int take_hub(int *argc, char **argv)
{
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "--hub") == 0) {
            memmove(argv + i, argv + i + 1, (size_t)(*argc - i) * sizeof *argv);
            --*argc;
            return 1;
        }
    }
    return 0;
}
#endif

int preload_main(int argc, char **argv)
{
    struct conf_options options = {0};
    struct conf *conf = NULL;
    struct contract contract;
#ifdef WITH_MODELS
    int is_hub = take_hub(&argc, argv);
#else
    const int is_hub = 0;
#endif
    int code = conf_options_alone(&options, argc, argv, usage);
    if (code >= 0)
        return code;
    int error = contract_adopt(&contract);
    code = conf_main(&conf, &options, environ);
    if (code < 0) {
        log_init("preload", (enum log_level)conf->supervisor.log_level, (enum log_format)conf->supervisor.log_format);
        (void)sys_signal_ignore(SIGPIPE);
        if (error)
            log_event(LOG_WARNING, "contract_refused", "error=\"%s\" doing=\"running alone\"", strerror(-error));
#ifdef WITH_MODELS
        code = is_hub ? job_main(conf) : run(conf, &contract);
#else
        code = run(conf, &contract);
#endif
    } else if (code > 0 && !is_hub) {
        give_up(&contract);
    }
    contract_release(&contract);
    conf_free(&conf);
    return code;
}
