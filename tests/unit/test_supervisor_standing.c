/* supervisor/standing: the whole in a line. */
#include "supervisor/standing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { OLLAMA, PROXY, PRELOAD, CHILDREN_N };

static struct supervisor s;
static struct conf_program confs[CHILDREN_N];

static int setup(void **state)
{
    static const char *const names[CHILDREN_N] = {"ollama", "proxy", "preload"};
    (void)state;
    memset(&s, 0, sizeof s);
    if (board_init(&s.board) < 0)
        return -1;
    s.children_n = CHILDREN_N;
    for (size_t i = 0; i < CHILDREN_N; i++) {
        confs[i] = (struct conf_program){.name = (char *)names[i]};
        s.children[i].program = (struct program){.conf = &confs[i], .is_wanted = 1, .state = CONTRACT_READY, .pid = 10 + (pid_t)i};
    }
    s.children[PRELOAD].program.is_task = 1;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    board_fini(&s.board);
    return 0;
}

static void words(const char *text)
{
    char got[STANDING_BYTES];
    standing_words(&s, got);
    assert_string_equal(got, text);
}

static void put(size_t i, enum contract_state state, const char *reason)
{
    s.children[i].program.state = state;
    snprintf(s.children[i].program.reason, sizeof s.children[i].program.reason, "%s", reason);
}

static void model(size_t i, enum contract_model_state state, const char *name, uint64_t completed, uint64_t total)
{
    struct contract_model *row = &s.board.page->models[i];
    contract_model_write(row, state, name, "");
    atomic_store(&row->completed_bytes, completed);
    atomic_store(&row->total_bytes, total);
}

static void list(enum contract_phase phase, uint32_t models_n)
{
    atomic_store(&s.board.page->phase, phase);
    atomic_store(&s.board.page->models_n, models_n);
}

static void test_the_start(void **state)
{
    (void)state;
    put(OLLAMA, CONTRACT_DOWN, "");
    words("starting");
    put(OLLAMA, CONTRACT_STARTING, "");
    words("waiting for Ollama");
    put(OLLAMA, CONTRACT_BACKOFF, "exit code 1: no such file");
    words("waiting for Ollama: exit code 1: no such file");
    put(OLLAMA, CONTRACT_READY, "");
    words("starting"); /* there is no list */
    list(CONTRACT_PHASE_WAITING, 0);
    words("preloading models");
    list(CONTRACT_PHASE_LISTED, 3);
    model(0, CONTRACT_MODEL_READY, "a", 5, 5);
    model(1, CONTRACT_MODEL_PULLING, "llama3.2:1b", 45, 100);
    model(2, CONTRACT_MODEL_PENDING, "c", 0, 0);
    words("pulling models: 1 of 3 there, llama3.2:1b at 45 %");
    model(1, CONTRACT_MODEL_FAILED, "llama3.2:1b", 45, 100);
    model(2, CONTRACT_MODEL_PULLING, "c", 0, 0);
    words("pulling models: 1 of 3 there, c at 0 %, 1 failed");
    model(2, CONTRACT_MODEL_PULLING, "c", UINT64_MAX, 1);
    words("pulling models: 1 of 3 there, c at 100 %, 1 failed");
}

static void test_running(void **state)
{
    (void)state;
    s.is_announced = 1;
    put(PRELOAD, CONTRACT_DONE, "");
    words("running");
    list(CONTRACT_PHASE_DONE, 2);
    model(0, CONTRACT_MODEL_READY, "a", 5, 5);
    model(1, CONTRACT_MODEL_FAILED, "b", 5, 5);
    words("running; 1 of 2 models failed");
    model(1, CONTRACT_MODEL_READY, "b", 5, 5);
    put(OLLAMA, CONTRACT_BACKOFF, "exit code 2");
    put(PRELOAD, CONTRACT_FAILED, "exit code 100");
    words("running; ollama is to be started again: exit code 2; preload has failed: exit code 100");
    put(OLLAMA, CONTRACT_DOWN, "");
    put(PRELOAD, CONTRACT_STARTING, "");
    words("running; ollama is down");
    put(OLLAMA, CONTRACT_STARTING, "killed by signal 9 (Killed)");
    words("running; ollama is starting: killed by signal 9 (Killed)");
    list(CONTRACT_PHASE_LISTED, 9); /* another list after a reload */
    put(OLLAMA, CONTRACT_READY, "");
    words("running; pulling models: 2 of 9 there");
}

static void test_ollama_asleep(void **state)
{
    (void)state;
    s.is_announced = 1;
    put(PRELOAD, CONTRACT_DONE, "");
    atomic_store(&s.board.page->sleep, CONTRACT_ASLEEP);
    put(OLLAMA, CONTRACT_STOPPING, "");
    words("running; ollama is asleep");
    put(OLLAMA, CONTRACT_DOWN, "");
    words("running; ollama is asleep");
    atomic_store(&s.board.page->sleep, CONTRACT_WAKING);
    put(OLLAMA, CONTRACT_STARTING, "");
    words("running; ollama is waking");
    put(OLLAMA, CONTRACT_BACKOFF, "exit code 2"); /* its trouble is news */
    words("running; ollama is to be started again: exit code 2");
}

static void test_stopping(void **state)
{
    (void)state;
    s.is_stopping = 1;
    s.children[PRELOAD].program.pid = 0;
    words("stopping: waiting for ollama, proxy");
    s.children[PROXY].program.pid = 0;
    words("stopping: waiting for ollama");
    s.children[OLLAMA].program.pid = 0;
    words("stopping");
}

static void test_everything_is_bounded(void **state)
{
    (void)state;
    char reason[CONTRACT_REASON_BYTES], got[STANDING_BYTES];
    memset(reason, 'r', sizeof reason - 1);
    reason[sizeof reason - 1] = '\0';
    s.is_announced = 1;
    for (size_t i = 0; i < CHILDREN_N; i++)
        put(i, CONTRACT_FAILED, reason);
    list(CONTRACT_PHASE_LISTED, UINT32_MAX);
    model(63, CONTRACT_MODEL_PULLING, reason, 1, 2);
    standing_words(&s, got);
    assert_int_equal(strlen(got), STANDING_BYTES - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_start, setup, teardown),
        cmocka_unit_test_setup_teardown(test_running, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ollama_asleep, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stopping, setup, teardown),
        cmocka_unit_test_setup_teardown(test_everything_is_bounded, setup, teardown),
    };
    return cmocka_run_group_tests_name("supervisor/standing", tests, NULL, NULL);
}
