"""What the clients did, in a file between the tests and the table of docs/clients.md."""
import json
import os

OUTCOMES = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "build", "clients.json")


def write_outcomes(versions: dict, found: dict) -> None:
    """versions is {name: version}, found {case: {mode: {client: {api: word}}}}."""
    with open(OUTCOMES, "w", encoding="utf-8") as file:
        json.dump({"versions": versions, "outcomes": found}, file, indent=1)


def read_outcomes() -> dict:
    """The same, as one object; nothing was tried where there is no file."""
    try:
        with open(OUTCOMES, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return {"versions": {}, "outcomes": {}}
