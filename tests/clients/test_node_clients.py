"""ollama, openai and eventsource-parser from npm: one script for each, which says what it saw as JSON."""
import json
import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def run(sidecar, script):
    """What the script printed last, as an object."""
    source = os.path.join(HERE, script)
    with open(source, encoding="utf-8") as file:
        done = subprocess.run(["node", "--input-type=module", "-", f"http://127.0.0.1:{sidecar.port}"], stdin=file,
                              cwd=os.path.join(ROOT, "build", "node"), capture_output=True, text=True, timeout=25,
                              check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_ollama_js(sidecar):
    saw = run(sidecar, "ollama_client.mjs")
    assert saw["models"] == ["tiny:latest"]
    assert saw["generated"] and saw["generate_parts"] > 3 and saw["chat_parts"] > 3
    assert saw["embeddings"] == 2
    assert "absent" in saw["error"] and saw["error_status"] == 404
    assert saw["aborted"] == "AbortError"


def test_openai_node(sidecar):
    saw = run(sidecar, "openai_client.mjs")
    assert saw["models"] == ["tiny:latest"]
    assert saw["content"] and saw["chunks"] > 3 and saw["finish"]
    assert saw["error_status"] == 404
    assert saw["refused_status"] == 403 and "cors_origins" in saw["refused"]


def test_r0_8_events_of_generate_are_read_by_fetch_and_eventsource_parser(sidecar):
    saw = run(sidecar, "events_client.mjs")
    assert saw["status"] == 200 and saw["type"] == "text/event-stream"
    assert saw["text"] and saw["parts"] > 3 and saw["last"] == "[DONE]" and saw["names"] == [] and "error" not in saw
    assert saw["refused"] == [400, "prompt: must be a string, not a number"]
