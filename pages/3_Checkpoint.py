import shlex

import streamlit as st

from ui import address, blocks, questions
from ui.frame import Page, section, show
from ui.pictures import Point

WEIGHTS = "bertlens-weights"


def repair(given: Page, finding) -> None:
    from bertlens.remedies.repair import repairable

    remedy = repairable(finding.id)
    if remedy is None:
        return
    st.markdown(f"**bertlens carries it out**, in a new folder, and checks that folder. {blocks.plain(remedy.sentence)}")
    words = ["bertlens", "repair", given.name, "--finding", finding.id, *(["--from", "BASE"] if remedy.needs_base else [])]
    st.code(shlex.join([*words, "--out", "mended"]), language="bash", wrap_lines=True)
    if remedy.needs_base:
        return
    with st.expander("What it does, and the same in Python", icon=":material/code:"), section():
        plan = questions.repair_plan(given, finding.id)
        st.markdown("\n".join(f"- {blocks.plain(sentence)}" for sentence in plan.done))
        st.code(plan.code, language="python", height=320)


def trust(checkup) -> None:
    from bertlens.show import checkpoint

    st.subheader("Which outputs may be trusted", anchor="outputs")
    st.caption("What hangs on which weight is read from the graph of a forward pass, not from names.")
    blocks.table(checkpoint.outputs(checkup), "bertlens-outputs")


def weights(given: Page, checkup) -> None:
    from bertlens.show import checkpoint

    st.subheader("All weights", anchor="weights")
    st.caption(
        "Each sign is one module, judged from its own numbers. Click one, or choose it below, to see its spectrum. "
        "How the states are found, and how often they are wrong: `docs/untrained-weights.md`."
    )
    picture, frame, words = checkpoint.weight_map(checkup), checkpoint.modules(checkup), checkpoint.states(checkup)
    blocks.figure(picture, WEIGHTS, frame, words=words, document=checkup, on_click=pick)
    with section():
        spectrum(given, checkup)


def pick(point: Point) -> None:
    address.change(module=str(point["customdata"][0]))


def spectrum(given: Page, checkup) -> None:
    from bertlens.show import checkpoint

    names = [module.name for module in checkup.modules if drawable(module)]
    if not names:
        return
    worst = next((module.name for module in checkup.modules if module.state == "newly drawn" and drawable(module)), names[0])
    asked = address.value("module")
    shown = asked if asked in names else worst
    chosen = address.widget(st.selectbox, "Weight", "module", shown=shown, options=names, to_text=lambda name: str(name or ""))
    if asked and asked not in names:
        known = [module for module in checkup.modules if module.name == asked]
        st.caption(blocks.plain(f"{asked}: {known[0].reason if known else 'no such weight in this checkpoint.'}"))
    found = questions.weight_matrix(given, chosen)
    st.markdown(blocks.plain(found.sentence))
    blocks.figure(checkpoint.spectrum(found), "bertlens-spectrum", found.to_frame(), words=found.sentence)


def drawable(module) -> bool:
    return module.kind in ("linear", "embedding") and module.state in ("trained", "cannot tell", "newly drawn")


def loading(given: Page, checkup) -> None:
    from bertlens.show import checkpoint

    st.subheader("What loading does", anchor="loading")
    if not checkup.load_report:
        st.markdown("Every tensor of the file has its place in the model, and every tensor of the model is in the file.")
        return
    blocks.table(checkpoint.load_report(checkup), "bertlens-load-report")
    states = {group.state for group in checkup.load_report}
    if "missing" in states and "mismatched" not in states:
        proof = questions.reload(given)
        st.markdown(f"**Two loads, the same texts.** {blocks.plain(proof.sentence)}")
        blocks.table(proof.to_frame(), "bertlens-two-loads", numbers=("max_abs",))


def python(given: Page, checkup) -> None:
    from bertlens.show.inspection import inspection_script

    names = [module.name for module in checkup.modules if module.kind == "linear"]
    chosen = address.value("module") or next((name for name in names if "pooler" in name), names[0] if names else "")
    blocks.same_in_python(inspection_script(given.name, chosen), f"bertlens check {shlex.quote(given.name)}", "bertlens_check")


def files(checkup) -> None:
    from bertlens.show import checkpoint

    st.subheader("What the files say", anchor="files")
    blocks.table(checkpoint.facts(checkup), "bertlens-facts")


def content(given: Page) -> None:
    checkup = questions.check(given)
    blocks.sentence(checkup)
    blocks.findings([finding for finding in checkup.findings if finding.severity != "note"], lambda one: repair(given, one))
    notes = [finding for finding in checkup.findings if finding.severity == "note"]
    if notes:
        with st.expander(
            f"{len(notes)} note{'s' * (len(notes) > 1)}: true, and harmless by themselves", icon=":material/info:"
        ):
            blocks.findings(notes)
    trust(checkup)
    weights(given, checkup)
    with section():
        loading(given, checkup)
    files(checkup)
    python(given, checkup)


show("Checkpoint", "Which weights are real, which were never there, which were never trained?", content)
