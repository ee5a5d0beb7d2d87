from ui import address
from ui.cases import teaching, worked
from ui.frame import Page, show
from ui.gallery import gallery

VIEWS = {"worked": "Five worked cases", "gallery": "Gallery of faults"}


def content(given: Page) -> None:
    if address.value("view") == "gallery" or address.value("fault"):
        address.change(view="gallery")
    taught = address.value("teach") == "on" and address.value("view") != "gallery"
    if (
        not taught
        and address.one_of("Show", "view", list(VIEWS), format_func=VIEWS.get, label_visibility="collapsed") == "gallery"
    ):
        gallery(given)
        return
    worked(given, lesson=teaching())


show("Cases", "What do others get wrong, what does it cost, and what is right?", content)
