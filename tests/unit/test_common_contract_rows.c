/* common/contract: the page, its rows and its texts. */
#include "common/contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_a_row_is_read_as_it_was_written(void **state)
{
    (void)state;
    static struct contract_model row;
    struct contract_model_view view;
    char long_text[1000];
    memset(long_text, 'r', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    contract_model_write(&row, CONTRACT_MODEL_FAILED, "llama3.2:1b", "disk full");
    atomic_store(&row.completed_bytes, 5);
    atomic_store(&row.total_bytes, 9);
    contract_model_read(&row, &view);
    assert_int_equal(view.state, CONTRACT_MODEL_FAILED);
    assert_string_equal(view.name, "llama3.2:1b");
    assert_string_equal(view.reason, "disk full");
    assert_int_equal(view.completed_bytes, 5);
    assert_int_equal(view.total_bytes, 9);
    contract_model_write(&row, CONTRACT_MODEL_READY, long_text, NULL);
    contract_model_read(&row, &view);
    assert_int_equal(strlen(view.name), CONTRACT_NAME_BYTES - 1);
    assert_string_equal(view.reason, "");
    assert_int_equal(atomic_load(&row.sequence) % 2, 0);
}

static void test_a_writer_that_died_in_the_middle_holds_nobody(void **state)
{
    (void)state;
    static struct contract_model row;
    struct contract_model_view view;
    contract_model_write(&row, CONTRACT_MODEL_PULLING, "x", "");
    atomic_fetch_add(&row.sequence, 1); /* it had begun */
    memset(row.name, 'z', sizeof row.name);
    memset(row.reason, 'z', sizeof row.reason);
    atomic_store(&row.state, 4711);
    contract_model_read(&row, &view); /* comes back, bounded and terminated */
    assert_int_equal(strlen(view.name), CONTRACT_NAME_BYTES - 1);
    assert_int_equal(strlen(view.reason), CONTRACT_REASON_BYTES - 1);
    assert_int_equal(view.state, CONTRACT_MODEL_EMPTY); /* a state that is none */
    contract_model_write(&row, CONTRACT_MODEL_READY, "y", ""); /* the next writer puts it right */
    assert_int_equal(atomic_load(&row.sequence) % 2, 0);
    contract_model_read(&row, &view);
    assert_int_equal(view.state, CONTRACT_MODEL_READY);
    assert_string_equal(view.name, "y");
    struct contract_program program = {.sequence = 5};
    char reason[CONTRACT_REASON_BYTES];
    memset(program.reason, 'q', sizeof program.reason);
    contract_program_read_reason(&program, reason);
    assert_int_equal(strlen(reason), CONTRACT_REASON_BYTES - 1);
    contract_program_reason(&program, "killed");
    contract_program_read_reason(&program, reason);
    assert_string_equal(reason, "killed");
    assert_int_equal(atomic_load(&program.sequence) % 2, 0);
}

static void test_an_instance_is_read_as_it_was_written(void **state)
{
    (void)state;
    static struct contract_instance row;
    const struct contract_instance_view written = {.state = CONTRACT_READY, .number = 7, .engine = "vllm", .port = 65535, .is_quantized = 1,
                                                   .was_ready = 1, .pid = 4711, .started_at_ms = 1000, .ready_at_ms = 3000,
                                                   .model = "org/name", .reason = "exit code 1"};
    struct contract_instance_view view;
    contract_instance_read(&row, &view);
    assert_int_equal(view.state, CONTRACT_DOWN);
    assert_int_equal(view.number, 0);
    contract_instance_write(&row, &written);
    contract_instance_read(&row, &view);
    assert_int_equal(view.state, CONTRACT_READY);
    assert_int_equal(view.number, 7);
    assert_string_equal(view.engine, "vllm");
    assert_int_equal(view.port, 65535);
    assert_true(view.is_quantized && view.was_ready);
    assert_int_equal(view.pid, 4711);
    assert_int_equal(view.started_at_ms, 1000);
    assert_int_equal(view.ready_at_ms, 3000);
    assert_string_equal(view.model, "org/name");
    assert_string_equal(view.reason, "exit code 1");
    atomic_fetch_add(&row.sequence, 1); /* a writer that died in the middle */
    memset(row.model, 'z', sizeof row.model);
    memset(row.reason, 'z', sizeof row.reason);
    memset(row.engine, 'z', sizeof row.engine);
    atomic_store(&row.state, 4711);
    contract_instance_read(&row, &view);
    assert_int_equal(strlen(view.model), CONTRACT_NAME_BYTES - 1);
    assert_int_equal(strlen(view.reason), CONTRACT_REASON_BYTES - 1);
    assert_int_equal(strlen(view.engine), CONTRACT_ENGINE_BYTES - 1);
    assert_int_equal(view.state, CONTRACT_DOWN); /* a state that is none */
    contract_instance_write(&row, &written);
    assert_int_equal(atomic_load(&row.sequence) % 2, 0);
}

static void test_what_proxies_have_to_do_with_an_instance(void **state)
{
    (void)state;
    static struct contract_instance row;
    contract_instance_hold(&row, 0, CONTRACT_HOLD_USED);
    contract_instance_hold(&row, 15, CONTRACT_HOLD_WANTED | CONTRACT_HOLD_DRAINED);
    assert_int_equal(contract_holds_beside(atomic_load(&row.holds), 0), CONTRACT_HOLD_WANTED | CONTRACT_HOLD_DRAINED);
    assert_int_equal(contract_holds_beside(atomic_load(&row.holds), 15), CONTRACT_HOLD_USED);
    assert_int_equal(contract_holds_beside(atomic_load(&row.holds), CONTRACT_LINES), 7);
    contract_instance_hold(&row, 15, CONTRACT_HOLD_WANTED);
    contract_instance_hold(&row, 0, 0);
    struct contract_instance_view view = {.state = CONTRACT_READY, .number = 7, .holds = 1};
    contract_instance_write(&row, &view);
    contract_instance_read(&row, &view);
    assert_int_equal(contract_holds_beside(view.holds, 0), CONTRACT_HOLD_WANTED); /* the supervisor's words leave them alone */
    assert_int_equal(contract_holds_beside(view.holds, 15), 0);
}

static void test_trouble_is_read_where_it_is_recent(void **state)
{
    (void)state;
    struct contract_trouble trouble = {.sequence = 3};
    char text[CONTRACT_REASON_BYTES];
    memset(trouble.text, 'q', sizeof trouble.text);
    contract_trouble_read(&trouble, 0, text);
    assert_string_equal(text, ""); /* never */
    contract_trouble_write(&trouble, "out of memory", 500);
    contract_trouble_read(&trouble, 500, text);
    assert_string_equal(text, "out of memory");
    contract_trouble_read(&trouble, 501, text);
    assert_string_equal(text, "");
    memset(trouble.text, 'q', sizeof trouble.text);
    contract_trouble_read(&trouble, 0, text);
    assert_int_equal(strlen(text), CONTRACT_REASON_BYTES - 1);
}

static void test_the_page_is_laid_out_as_documented(void **state)
{
    (void)state;
    assert_int_equal(offsetof(struct contract_line, asked_n), 28);
    assert_int_equal(sizeof(struct contract_line), 64);
    assert_int_equal(offsetof(struct contract_page, sleep), 28);
    assert_int_equal(offsetof(struct contract_page, memory_limit_bytes), 32);
    assert_int_equal(offsetof(struct contract_page, ollama_changes_n), 40);
    assert_int_equal(offsetof(struct contract_page, lines), 64);
    assert_int_equal(offsetof(struct contract_page, programs), 1088);
    assert_int_equal(offsetof(struct contract_page, models), 17472);
    assert_int_equal(offsetof(struct contract_page, trouble), 50240);
    assert_int_equal(offsetof(struct contract_instance, started_at_ms), 32);
    assert_int_equal(offsetof(struct contract_instance, reason), 256);
    assert_int_equal(offsetof(struct contract_instance, engine), 496);
    assert_int_equal(sizeof(struct contract_instance), 576);
    assert_int_equal(offsetof(struct contract_page, instances), 50496);
    assert_int_equal(sizeof(struct contract_page), 55680);
    assert_int_equal(offsetof(struct contract_message, detail), 208);
    assert_int_equal(sizeof(struct contract_message), 528);
}

static void test_programs_are_found_by_name_in_a_page_that_lies(void **state)
{
    (void)state;
    static struct contract_page page;
    memset(page.programs[0].name, 'x', sizeof page.programs[0].name); /* no end */
    memcpy(page.programs[1].name, "ollama", 7);
    assert_ptr_equal(contract_find_program(&page, "ollama"), &page.programs[1]);
    assert_null(contract_find_program(&page, "proxy"));
    assert_null(contract_find_program(&page, "xxx"));
    assert_null(contract_find_program(&page, "ollam"));
}

static void test_every_state_has_a_name(void **state)
{
    (void)state;
    for (int i = 0; i < CONTRACT_STATE_COUNT; i++)
        assert_string_not_equal(contract_state_name((enum contract_state)i), "unknown");
    assert_string_equal(contract_state_name(CONTRACT_STATE_COUNT), "unknown");
    assert_string_equal(contract_state_name((enum contract_state)-1), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_row_is_read_as_it_was_written),
        cmocka_unit_test(test_a_writer_that_died_in_the_middle_holds_nobody),
        cmocka_unit_test(test_an_instance_is_read_as_it_was_written),
        cmocka_unit_test(test_what_proxies_have_to_do_with_an_instance),
        cmocka_unit_test(test_trouble_is_read_where_it_is_recent),
        cmocka_unit_test(test_the_page_is_laid_out_as_documented),
        cmocka_unit_test(test_programs_are_found_by_name_in_a_page_that_lies),
        cmocka_unit_test(test_every_state_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
