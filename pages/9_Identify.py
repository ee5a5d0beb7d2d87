from ui import identify, questions
from ui.frame import Page, section, show


def content(given: Page) -> None:
    asked, vectors = identify.given(given)
    if not identify.wanted(asked, vectors) or vectors is None:
        if vectors is None:
            identify.empty()
        return
    found = questions.identify(asked, vectors, identify.prompts())
    identify.verdict(found)
    identify.recipe(found)
    identify.wrong(found)
    with section():
        identify.candidates(found)
        identify.rows(asked, found)
    identify.undecided(found)
    with section():
        identify.python(asked, found)


show("Identify", "Which recipe made these vectors, and what is wrong with it?", content)
