"""ollama and openai from PyPI: what their users do most."""
import ollama
import openai
import pytest


@pytest.fixture
def client(sidecar):
    """ollama.Client on the public port."""
    return ollama.Client(host=f"http://127.0.0.1:{sidecar.port}")


@pytest.fixture
def openai_client(sidecar):
    """openai.OpenAI on the public port."""
    return openai.OpenAI(base_url=f"http://127.0.0.1:{sidecar.port}/v1", api_key="none", max_retries=0)


def test_ollama_lists_shows_and_tells_what_is_loaded(client):
    assert [model.model for model in client.list().models] == ["tiny:latest"]
    assert client.show("tiny").details is not None
    client.generate("tiny", "hi")
    assert [model.model for model in client.ps().models] == ["tiny:latest"]


def test_ollama_generates_at_once_and_as_a_stream(client):
    answer = client.generate("tiny", "hi")
    assert answer.done and answer.response and answer.eval_count > 0
    parts = list(client.generate("tiny", "hi", stream=True))
    assert len(parts) > 3 and parts[-1].done and not parts[0].done


def test_ollama_chats(client):
    messages = [{"role": "user", "content": "hi"}]
    assert client.chat("tiny", messages).message.content
    parts = list(client.chat("tiny", messages, stream=True))
    assert len(parts) > 3 and parts[-1].done


def test_ollama_embeds(client):
    assert len(client.embed("tiny", ["a", "b"]).embeddings) == 2


def test_ollama_copies_and_deletes(client):
    client.copy("tiny", "other")
    assert {model.model for model in client.list().models} == {"tiny:latest", "other:latest"}
    client.delete("other")
    assert [model.model for model in client.list().models] == ["tiny:latest"]


def test_ollama_pulls_with_progress(sidecar, client):
    if sidecar.kind == "real":
        with pytest.raises(ollama.ResponseError):  # no network here: the error arrives as an error
            list(client.pull("absent-model", stream=True))
        return
    assert [part.status for part in client.pull("fresh", stream=True)][-1] == "success"


def test_ollama_sees_an_unknown_model_as_an_error(client):
    with pytest.raises(ollama.ResponseError) as caught:
        client.generate("absent", "hi")
    assert caught.value.status_code == 404 and "absent" in caught.value.error


def test_openai_lists_models(openai_client):
    assert [model.id for model in openai_client.models.list()] == ["tiny:latest"]


def test_openai_chats_at_once_and_as_a_stream(openai_client):
    messages = [{"role": "user", "content": "hi"}]
    answer = openai_client.chat.completions.create(model="tiny", messages=messages)
    assert answer.choices[0].message.content and answer.usage.completion_tokens > 0
    chunks = list(openai_client.chat.completions.create(model="tiny", messages=messages, stream=True))
    assert len(chunks) > 3 and any(chunk.choices and chunk.choices[0].finish_reason for chunk in chunks)


def test_openai_completes_and_embeds(openai_client):
    assert openai_client.completions.create(model="tiny", prompt="hi").choices[0].text
    assert openai_client.embeddings.create(model="tiny", input="hi", encoding_format="float").data[0].embedding


def test_openai_sees_an_unknown_model_as_an_error(openai_client):
    with pytest.raises(openai.NotFoundError):
        openai_client.chat.completions.create(model="absent", messages=[{"role": "user", "content": "hi"}])


def test_openai_sees_our_own_refusal_as_an_error(sidecar, openai_client):
    with pytest.raises(openai.APIStatusError) as caught:
        openai_client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "hi"}],
                                              extra_headers={"Origin": "http://foreign.example"})
    assert caught.value.status_code == 403 and "cors_origins" in str(caught.value)
