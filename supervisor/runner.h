/*
 * runner: what Ollama's log says of a runner that it starts. A pure parser.
 *
 * Until v0.11.4 (llm/server.go), one line:
 *     time=… msg="starting llama server" cmd="…/ollama runner --model /…/blobs/sha256-… --ctx-size 4096 --parallel 1 …"
 * From v0.11.5 (llm/server.go, runner/…/runner.go), two, the second from the runner itself:
 *     time=… msg="starting runner" cmd="…/ollama runner --ollama-engine --model /…/blobs/sha256-… --port 41251"
 *     time=… msg=load request="{Operation:commit LoraPath:[] Parallel:1 … KvSize:4096 … UseMmap:true}"
 * From v0.30 (llm/llama_server.go), one:
 *     time=… msg="starting llama-server" cmd="…/llama-server --model /…/blobs/sha256-… -c 4096 -np 1 …"
 * MLX (x/mlxrunner/client.go): msg="starting mlx runner subprocess" model=NAME port=41251
 */
#ifndef SUPERVISOR_RUNNER_H
#define SUPERVISOR_RUNNER_H

enum { RUNNER_DIGEST_BYTES = 65, RUNNER_FOLDER_BYTES = 512, RUNNER_NAME_BYTES = 200, RUNNER_UNKNOWN = -1 };

struct runner {
    char digest[RUNNER_DIGEST_BYTES]; /* of the model's blob, 64 hex digits; "" where a name was said */
    char folder[RUNNER_FOLDER_BYTES]; /* OLLAMA_MODELS: where the blob's folder is */
    char name[RUNNER_NAME_BYTES];     /* as said; "" where there is a digest */
    int is_ollama_engine;             /* that one reads a model's file, and never maps it */
    int is_mlx;
    int is_awaited; /* the second line of the two is still to come */
    long parallel, context, batch;    /* context: of one request, in tokens; RUNNER_UNKNOWN where not said */
    int has_mmap;                     /* 1, 0 or RUNNER_UNKNOWN */
};

/* Nothing has been said. */
void runner_init(struct runner *r);
/* Takes the next line. 1 when with it a runner's start is told completely, in r, once; else 0. A line that is none of the
 * above, or says impossible things, changes nothing. */
int runner_line(struct runner *r, const char *line);

#endif
