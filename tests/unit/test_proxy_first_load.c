/* proxy/first_load: when a model is loaded that nobody asks for, which, and what is kept of the last one. */
#include "proxy/first_load.h"
#include "tests/unit/conf_each.h"

enum { PID = 77 };

/* A backend that nobody is at: a load begins, and that is all that is looked at. */
struct world {
    struct loop loop;
    struct backend backend;
    struct contract_page *page;
    struct waiting waiting;
    struct tell tell;
    struct gate gate;
    struct loader loader;
    struct first_load first;
    char ini[SCRATCH_PATH_BYTES + 200];
};

static struct world w;

static void on_count(void *context, int is_begun)
{
    (void)context, (void)is_begun;
}

static void on_load(void *context, const struct load *load)
{
    (void)context, (void)load;
}

/* load: of [preload]; more: further lines of the ini file, or "". Ollama is ready, nothing is on the list. */
static void begin(const char *load, const char *more)
{
    char why[128];
    struct address at;
    snprintf(w.ini, sizeof w.ini, "[supervisor]\nstate_dir = %s/state\n[preload]\nload = %s\n%s", k.scratch.dir, load, more);
    conf_case_load(&k, w.ini, NULL);
    conf_case_good(&k);
    w.page = aligned_alloc(64, (sizeof *w.page + 63) / 64 * 64);
    assert_non_null(w.page);
    memset(w.page, 0, sizeof *w.page);
    snprintf(w.page->programs[0].name, sizeof w.page->programs[0].name, "ollama");
    atomic_store(&w.page->programs[0].state, (uint32_t)CONTRACT_READY);
    atomic_store(&w.page->programs[0].pid, PID);
    assert_int_equal(parse_address("127.0.0.1:1", &at, why), 0);
    assert_int_equal(loop_init(&w.loop), 0);
    assert_int_equal(backend_init(&w.backend, &w.loop, &at, why, sizeof why), 0);
    w.waiting = (struct waiting){.limit_n = 10};
    tell_init(&w.tell, 1, 0);
    gate_init(&w.gate, w.page, 1, &w.waiting);
    loader_init(&w.loader, &w.backend, &w.tell, &w.waiting, 300000, 300000, &(struct loader_ops){on_count, on_load, NULL});
    first_load_init(&w.first, k.conf, &w.gate, &w.loader);
}

static void end(void)
{
    first_load_fini(&w.first);
    loader_fini(&w.loader);
    backend_fini(&w.backend);
    loop_fini(&w.loop);
    free(w.page);
    memset(&w, 0, sizeof w);
}

/* As env does it when the page has changed. */
static void look(int32_t pid, int is_used)
{
    gate_review(&w.gate);
    first_load_look(&w.first, pid, is_used);
}

/* The load that is under way; NULL: none. */
static const struct load *under_way(void)
{
    const struct load *found = NULL;
    for (size_t i = 0; i < LOADS_MODELS; i++)
        if (w.loader.loads.rows[i].state == LOAD_LOADING)
            found = &w.loader.loads.rows[i];
    assert_int_equal(w.loader.loads.loading_n, found != NULL);
    return found;
}

static void assert_loads(const char *model)
{
    const struct load *load = under_way();
    assert_non_null(load);
    assert_string_equal(load->model, model);
}

static void keep(const char *text)
{
    char path[SCRATCH_PATH_BYTES];
    (void)mkdir(scratch_path(&k.scratch, "state", path), 0700);
    scratch_text(&k.scratch, "state/" LAST_LOAD_FILE, text);
}

static void assert_kept(const char *expected)
{
    char path[SCRATCH_PATH_BYTES], text[1000] = "";
    FILE *f = fopen(scratch_path(&k.scratch, "state/" LAST_LOAD_FILE, path), "rb");
    if (f) {
        assert_true(fread(text, 1, sizeof text - 1, f) > 0);
        fclose(f);
    }
    assert_string_equal(text, expected);
}

static void forget_state(void)
{
    char path[SCRATCH_PATH_BYTES];
    scratch_remove(scratch_path(&k.scratch, "state", path));
}

static void test_a_model_is_loaded_once_for_each_ollama(void **state)
{
    (void)state;
    begin("m:1b", "");
    look(0, 0);
    assert_null(under_way());
    look(PID, 0);
    assert_loads("m:1b");
    loader_fini(&w.loader);
    w.loader.loads = (struct loads){.waiting = &w.waiting};
    w.first.ticket.load = NULL;
    look(PID, 0);
    assert_null(under_way());
    look(PID + 1, 0);
    assert_loads("m:1b");
    end();
}

static void test_nothing_is_loaded_where_nothing_is_wanted(void **state)
{
    (void)state;
    static const char *const loads[] = {"none", "", "last"};
    for (size_t i = 0; i < sizeof loads / sizeof *loads; i++) {
        begin(loads[i], "");
        look(PID, 0);
        assert_null(under_way());
        end();
    }
}

static void test_an_ollama_that_was_used_is_left_alone(void **state)
{
    (void)state;
    begin("m", "");
    look(PID, 1);
    look(PID, 0);
    assert_null(under_way());
    end();
}

static void test_what_stops_is_left_alone(void **state)
{
    (void)state;
    begin("m", "");
    atomic_store(&w.page->is_stopping, 1u);
    look(PID, 0);
    assert_null(under_way());
    end();
}

static void test_a_load_that_is_under_way_is_first(void **state)
{
    (void)state;
    struct load_ticket other = {.wish = {.keep_alive_ms = ASK_KEEP_UNSAID}};
    struct load_ride ride;
    begin("m", "");
    assert_int_equal(loader_look(&w.loader, &other, "other", 1, &ride), LOAD_BEGIN);
    look(PID, 0);
    assert_loads("other");
    assert_int_equal(w.first.done_pid, PID);
    end();
}

static void on_gate(void *context, enum gate_verdict verdict)
{
    (void)context, (void)verdict;
}

static void test_who_waits_at_the_gate_is_first(void **state)
{
    (void)state;
    struct gate_ticket t = {.needs_model = 1, .model = "pulled", .fn = on_gate};
    begin("m", "");
    atomic_store(&w.page->phase, (uint32_t)CONTRACT_PHASE_LISTED);
    contract_model_write(&w.page->models[0], CONTRACT_MODEL_PULLING, "pulled", "");
    assert_int_equal(gate_enter(&w.gate, &t), GATE_WAIT_MODEL);
    look(PID, 0);
    assert_null(under_way());
    gate_leave(&w.gate, &t);
    look(PID, 0);
    assert_loads("m");
    end();
}

static void test_a_model_that_is_being_pulled_is_waited_for(void **state)
{
    (void)state;
    begin("m", "");
    atomic_store(&w.page->phase, (uint32_t)CONTRACT_PHASE_WAITING);
    look(PID, 0);
    atomic_store(&w.page->phase, (uint32_t)CONTRACT_PHASE_LISTED);
    contract_model_write(&w.page->models[0], CONTRACT_MODEL_PULLING, "m:latest", "");
    look(PID, 0);
    assert_null(under_way());
    contract_model_write(&w.page->models[0], CONTRACT_MODEL_READY, "m:latest", "");
    look(PID, 0);
    assert_loads("m");
    end();
}

static void test_pins_are_heard(void **state)
{
    (void)state;
    begin("m", "[pin:m]\nnum_ctx = 512\nkeep_alive = 1h\n");
    look(PID, 0);
    assert_int_equal(under_way()->options.values[LOAD_NUM_CTX], 512);
    assert_int_equal(under_way()->options.values[LOAD_USE_MMAP], 1); /* as ours is where nothing else is said */
    assert_int_equal(under_way()->wish.keep_alive_ms, 3600000);
    end();
}

static void test_the_last_load_is_loaded_again(void **state)
{
    (void)state;
    begin("last", "[pin:a]\nnum_batch = 64\n");
    keep("{\"model\":\"a\",\"options\":{\"num_ctx\":8192,\"num_batch\":32},\"keep_alive\":-1}\n");
    look(PID, 0);
    assert_loads("a");
    assert_int_equal(under_way()->options.values[LOAD_NUM_CTX], 8192);
    assert_int_equal(under_way()->options.values[LOAD_NUM_BATCH], 64);
    assert_true(under_way()->wish.keep_alive_ms == ASK_KEEP_FOR_EVER);
    end();
    forget_state();
}

static void test_a_file_that_has_no_load_in_it_loads_nothing(void **state)
{
    (void)state;
    begin("last", "");
    keep("{\"model\":");
    look(PID, 0);
    assert_null(under_way());
    end();
    forget_state();
}

static void test_the_last_load_is_kept_when_it_is_another_one(void **state)
{
    (void)state;
    struct load load = {.model = "a", .wish = {.keep_alive_ms = ASK_KEEP_UNSAID}};
    load_options_set(&load.options, LOAD_NUM_CTX, 64);
    begin("last", "");
    first_load_note(&w.first, &load);
    assert_kept("{\"model\":\"a\",\"options\":{\"num_ctx\":64}}\n");
    keep("mine");
    first_load_note(&w.first, &load);
    assert_kept("mine");
    load.wish.keep_alive_ms = 90000;
    first_load_note(&w.first, &load);
    assert_kept("{\"model\":\"a\",\"options\":{\"num_ctx\":64},\"keep_alive\":\"90000ms\"}\n");
    load.wish.keep_alive_ms = 0; /* it was to go at once: nothing to begin with */
    first_load_note(&w.first, &load);
    assert_kept("{\"model\":\"a\",\"options\":{\"num_ctx\":64}}\n");
    end();
    forget_state();
    begin("a", "");
    first_load_note(&w.first, &load);
    assert_kept("");
    end();
}

static void test_what_can_not_be_written_is_told_once(void **state)
{
    (void)state;
    struct load load = {.model = "a", .wish = {.keep_alive_ms = ASK_KEEP_UNSAID}};
    begin("last", "");
    scratch_text(&k.scratch, "state", "no folder");
    first_load_note(&w.first, &load);
    assert_int_equal(w.first.is_failure_told, 1);
    load.model[0] = 'b';
    first_load_note(&w.first, &load);
    assert_int_equal(w.first.is_failure_told, 1);
    end();
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, conf_case_setup, conf_case_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_model_is_loaded_once_for_each_ollama),
        CASE(test_nothing_is_loaded_where_nothing_is_wanted),
        CASE(test_an_ollama_that_was_used_is_left_alone),
        CASE(test_what_stops_is_left_alone),
        CASE(test_a_load_that_is_under_way_is_first),
        CASE(test_who_waits_at_the_gate_is_first),
        CASE(test_a_model_that_is_being_pulled_is_waited_for),
        CASE(test_pins_are_heard),
        CASE(test_the_last_load_is_loaded_again),
        CASE(test_a_file_that_has_no_load_in_it_loads_nothing),
        CASE(test_the_last_load_is_kept_when_it_is_another_one),
        CASE(test_what_can_not_be_written_is_told_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
