"""What a real Ollama has said, so that two answers to one question are the same: maps of Go's have another order each time."""
import itertools
import json


def _in_order(models: list) -> list:
    """Models of one second stand in any order (server/routes.go ListHandler, v0.9.5: the last second first), so they are sorted there."""
    def second(model):
        return model["created"] if "created" in model else model["modified_at"][:19]

    def name(model):
        return model["id"] if "id" in model else model["name"]

    return [sorted(of_one_second, key=name) for _, of_one_second in itertools.groupby(models, second)]


def _of_a_show(shown: dict) -> dict:
    """The parameters stand in any order."""
    return {**shown, **{key: sorted(shown[key].split("\n")) for key in ("modelfile", "parameters")}}


def said(answer):
    """Status, type and body: its bytes, but for a show and a list of models."""
    body = answer.body
    if b'"modelfile"' in body:
        body = _of_a_show(json.loads(body))
    elif body.startswith((b'{"models":[{"name"', b'{"object":"list"')) and b'"expires_at"' not in body:
        value = json.loads(body)
        body = {key: _in_order(rows) if isinstance(rows, list) else rows for key, rows in value.items()}
    return answer.status, answer.header("Content-Type"), body
