/* See metrics_write.h. */
#include "proxy/observe/metrics_write.h"

#include "common/utf8.h"
#include "proxy/metrics.h"

#include <stdio.h>

enum { NUMBER_BYTES = 32 };

/* What may not stand in a label's value as it is: a backslash, a quote, a line's end; and bytes of no character, for which a whole scrape would be
 * refused. https://prometheus.io/docs/instrumenting/exposition_formats/ */
static int append_escaped(struct buf *out, const char *text)
{
    int error = 0;
    for (size_t left_n = strlen(text), n; left_n > 0 && !error; text += n, left_n -= n) {
        uint32_t point;
        n = utf8_decode(text, left_n, &point);
        if (n == 0) {
            error = buf_text(out, "\xef\xbf\xbd"); /* U+FFFD */
            n = 1;
        } else if (*text == '\n' || *text == '"' || *text == '\\') {
            error = buf_text(out, *text == '\n' ? "\\n" : *text == '"' ? "\\\"" : "\\\\");
        } else {
            error = buf_append(out, text, n);
        }
    }
    return error;
}

static int append_label(struct buf *out, const struct metrics_label *label, int is_first)
{
    int error = buf_printf(out, "%s%s=\"", is_first ? "{" : ",", label->name);
    error = error ? error : append_escaped(out, label->value);
    return error ? error : buf_text(out, "\"");
}

/* "" and `other` are names of no model. */
static int may_be_told(const struct metrics_writer *w, const struct metrics_label *label)
{
    int is_model = w->in->shown && strcmp(label->name, "model") == 0 && *label->value && strcmp(label->value, "other") != 0;
    return !is_model || conf_names_model(w->in->shown, label->value, strlen(label->value));
}

static void write_sample(struct metrics_writer *w, const char *suffix, const struct metrics_label *labels, size_t labels_n, double value)
{
    for (size_t i = 0; i < labels_n; i++)
        if (!may_be_told(w, &labels[i]))
            return;
    int error = w->error ? w->error : buf_printf(w->out, "%.*s%s", (int)w->name_n, w->metric->words, suffix);
    for (size_t i = 0; i < labels_n && !error; i++)
        error = append_label(w->out, &labels[i], i == 0);
    w->error = error ? error : buf_printf(w->out, "%s %.16g\n", labels_n > 0 ? "}" : "", value);
}

void metrics_sample(struct metrics_writer *w, const struct metrics_label *labels, size_t labels_n, double value)
{
    write_sample(w, "", labels, labels_n, value);
}

void metrics_plain(struct metrics_writer *w, double value)
{
    metrics_sample(w, NULL, 0, value);
}

void metrics_labelled(struct metrics_writer *w, const char *label, const char *value, double number)
{
    metrics_sample(w, &(struct metrics_label){label, value}, 1, number);
}

/* Of Prometheus' buckets each has what those below it have, too. */
void metrics_histogram(struct metrics_writer *w, const char *label, const char *value, const struct histogram *h, const struct histogram_bounds *by)
{
    char bound[NUMBER_BYTES];
    struct metrics_label labels[] = {{label, value}, {"le", bound}};
    size_t before_n = label != NULL;
    const struct metrics_label *first = label ? labels : labels + 1;
    uint64_t n = 0;
    for (size_t i = 0; i < by->bounds_n; i++) {
        n += h->counts[i];
        snprintf(bound, sizeof bound, "%g", (double)by->bounds[i] / (double)by->unit);
        write_sample(w, "_bucket", first, before_n + 1, (double)n);
    }
    snprintf(bound, sizeof bound, "+Inf");
    write_sample(w, "_bucket", first, before_n + 1, (double)h->n);
    write_sample(w, "_sum", first, before_n, (double)h->sum / (double)by->unit);
    write_sample(w, "_count", first, before_n, (double)h->n);
}

/* A name without a sample is not told. */
static void write_row(struct metrics_writer *w, const struct metric *m)
{
    size_t before_n = buf_size(w->out);
    const char *type = strchr(m->words, ' ') + 1, *help = strchr(type, ' ') + 1;
    w->metric = m;
    w->name_n = (size_t)(type - 1 - m->words);
    w->error = buf_printf(w->out, "# HELP %.*s %s\n# TYPE %.*s\n", (int)w->name_n, m->words, help, (int)(help - 1 - m->words), m->words);
    size_t heading_n = buf_size(w->out);
    m->samples(w);
    if (buf_size(w->out) == heading_n)
        buf_truncate(w->out, before_n);
}

void metrics_family_write(struct metrics_writer *w, const struct metrics_family *f)
{
    if (f->is_told && !f->is_told(w->in))
        return;
    for (size_t i = 0; i < f->rows_n && !w->error; i++)
        write_row(w, &f->rows[i]);
}
