"""Objects, search, labels, review and the rest of the page in a real browser."""

import numpy as np
import pytest

pytestmark = pytest.mark.web

EVIL = '<img src=x onerror="window.hacked=1">'


def lasso(eye, polygon):
    eye.page.keyboard.press("l")
    eye.drag(eye.on_page(polygon))


def box(x, y, half):
    return [(x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half)]


def give(eye, code):
    """Give a class to what is selected, by the mouse."""
    eye.tab("label")
    eye.page.click(f".class-button[data-code={code}]")
    eye.page.click("#label-apply")
    eye.until("document.querySelector('#label-apply').textContent === 'Give'")


def test_object_panel(eye, survey):
    eye.click(13)
    panel = eye.page.locator(".object[data-row='13']")
    panel.wait_for()
    text = panel.inner_text()
    assert "star_0013" in text
    assert "tsne_id 13" in text
    assert "PIPELINE" in text
    assert "survey's own reduction" in text
    assert "MISSING_ARM" in text
    teff = panel.locator("dd", has_text="K").first.inner_text()
    assert float(teff.split()[0].replace(",", "")) == pytest.approx(
        survey.catalogue["teff"][13], rel=1e-4
    )
    links = panel.locator("a.out")
    assert links.all_inner_texts() == ["SIMBAD", "VizieR", "Gaia archive"]
    for link in links.all():
        assert link.get_attribute("href").startswith("https://")
        assert "noopener" in link.get_attribute("rel")
        assert link.get_attribute("target") == "_blank"
    panel.get_by_label("Find among the labels").fill("log g")
    assert panel.locator("dt").count() == 1
    panel.locator("dt button").click()
    eye.until("siderea.app.colour.value.data.column.name === 'logg'")


@pytest.mark.parametrize("space", ["map:tsne", "features:tsne"])
def test_neighbours(eye, survey, space):
    eye.click(40)
    eye.page.wait_for_selector(".object[data-row='40']")
    eye.page.get_by_label("Neighbours where").select_option(space)
    eye.page.wait_for_selector(".neighbours .chip")
    marks = eye.app("marks")
    assert len(marks) == 20
    if space == "map:tsne":
        apart = np.hypot(*(survey.places - survey.places[40]).T)
        assert sorted(marks) == sorted(np.argsort(apart)[1:21].tolist())
    assert set(survey.name[marks]) == {"NOR"} or space == "map:tsne"
    eye.page.get_by_role("button", name="select these").click()
    assert eye.selected == sorted([*marks, 40])


def test_search_by_id_and_by_tsne_id(eye):
    eye.page.keyboard.press("/")
    eye.page.keyboard.type("star_0101")
    eye.page.locator(".found li", has_text="star_0101").wait_for()
    eye.page.keyboard.press("Enter")
    assert eye.app("object") == 101
    eye.page.keyboard.press("/")
    eye.page.keyboard.type("222")
    eye.page.locator(".found li", has_text="tsne_id 222").wait_for()
    eye.page.locator(".found li", has_text="tsne_id 222").click()
    assert eye.app("object") == 222
    eye.page.fill("#search", "nobody")
    eye.page.get_by_text("Nothing of that name").wait_for()


def test_label_log_undo_and_others(eye, server):
    lasso(eye, box(14, -12, 2))
    chosen = eye.selected
    eye.page.keyboard.press("7")  # HAE
    assert eye.ask("document.querySelector('#tab-label').getAttribute('aria-selected')") == "true"
    eye.page.fill("#label-comment", EVIL)
    eye.page.locator("#label-comment").press("Tab")
    eye.page.locator("#tab-label").focus()
    eye.page.click("#label-apply")
    entry = eye.page.locator(".log li").first
    entry.get_by_text("HAE", exact=True).wait_for()
    assert EVIL in entry.inner_text()
    assert f"{len(chosen)} objects" in entry.inner_text()
    said = server.get("labels?since=0")["entries"][-1]
    assert (said["value"], said["user"], said["comment"]) == ("HAE", "Čotar", EVIL)
    assert sorted(said["rows"]) == chosen
    eye.page.keyboard.press("Control+z")
    eye.page.locator(".log li.undone", has_text="HAE").first.wait_for()
    assert server.get("labels?since=0")["entries"][-1]["action"] == "undo"
    server.post(
        "labels",
        {"rows": [3], "kind": "flag", "value": "odd", "user": f"T {EVIL}", "comment": ""},
    )
    eye.page.locator(".log li", has_text="odd").wait_for()  # nobody reloaded anything
    eye.click(3)
    eye.page.locator(".object .given", has_text="odd").wait_for()
    assert eye.page.locator("img").count() == 0


def test_colour_by_what_people_said(eye, survey):
    lasso(eye, box(12, 14, 1.5))
    chosen = eye.selected
    give(eye, "BIN")
    eye.until("siderea.app.columns.list.some(one => one.key === 'labels:class')")
    eye.page.wait_for_selector("#colour-by option[value='labels:class']", state="attached")
    eye.page.select_option("#colour-by", "labels:class")
    eye.page.locator(".legend").get_by_text("BIN", exact=True).wait_for()
    rows = eye.ask(
        "(() => { const d = siderea.app.colour.value.data; const k = d.categories.indexOf('BIN');"
        " return Array.from(d.values.keys()).filter(i => d.values[i] === k); })()"
    )
    assert set(chosen) <= set(rows)
    assert len(rows) < survey.n


def test_refit_recolours_and_the_queue_is_reviewed(look, survey, server):
    eye = look()
    for code, x, y in (("NOR", -20, 0), ("BIN", 12, 14), ("HAE", 14, -12)):
        lasso(eye, box(x, y, 1.5))
        give(eye, code)
    eye.page.click("#refit")
    eye.until("siderea.app.colour.value.data.column.key === 'refit:probability'", seconds=60)
    assert "Fitted on" in eye.text(".label")
    eye.page.keyboard.press("Escape")
    eye.page.click("#review-start")
    eye.page.wait_for_selector("#review-now")
    first = eye.app("object")
    assert "1 of" in eye.text("#review-now")
    eye.page.keyboard.press("n")
    eye.until("document.querySelector('#review-now').textContent.startsWith('2 of')")
    second = eye.app("object")
    assert second != first
    eye.page.keyboard.press("9")
    eye.page.keyboard.press("Enter")  # gives it, and goes on
    eye.until("document.querySelector('#review-now').textContent.startsWith('3 of')")
    said = server.get("labels?since=0")["entries"][-1]
    assert (said["rows"], said["value"]) == ([second], "BIN")
    eye.page.keyboard.press("p")
    eye.until(f"siderea.app.object.value === {second}")


def test_labels_go_out_and_come_in(eye, server, tmp_path):
    lasso(eye, box(-20, 0, 1))
    give(eye, "LIR")
    with eye.page.expect_download() as started:
        eye.page.click("#labels-export")
    text = started.value.path().read_text()
    assert text.splitlines()[0].startswith("id,class")
    assert "LIR" in text
    table = tmp_path / "labels.csv"
    table.write_text("id,class\nstar_0300,TRI\n")
    eye.page.set_input_files("#labels-import", str(table))
    eye.page.get_by_text("1 label read").wait_for()
    assert server.get("labels?since=0")["entries"][-1]["value"] == "TRI"


def test_nothing_in_the_store_runs_as_a_script(eye):
    bad = eye.ask("siderea.app.columns.list.find(one => one.name.startsWith('bad')).key")
    eye.page.select_option("#colour-by", bad)
    eye.until("siderea.app.colour.value.data.column.name.startsWith('bad')")
    eye.page.select_option("#add-filter", bad)
    eye.page.wait_for_selector(".card")
    eye.page.select_option("#colour-by", "catalogue:note")
    eye.page.locator(".legend li", has_text=EVIL).wait_for()
    eye.page.locator(".legend .legend-name", has_text=EVIL).click()
    eye.click(7)
    eye.page.wait_for_selector(".object[data-row='7']")
    assert eye.text(".object-id") == f"evil_{EVIL}"
    eye.page.fill("#search", "evil")
    eye.page.locator(".found li", has_text=EVIL).wait_for()
    eye.page.keyboard.press("Escape")
    for tab in ("histograms", "table"):
        eye.tab(tab)
    eye.page.locator(".table-row .id", has_text=EVIL).wait_for()
    eye.page.mouse.move(*eye.where(7))
    assert eye.page.locator("img").count() == 0  # the fixture asks whether anything ran


def test_keys(eye):
    eye.page.keyboard.press("?")
    assert eye.page.locator("#help[open]").count() == 1
    assert "Ctrl Z" in eye.text("#help")
    eye.page.keyboard.press("Escape")
    assert eye.page.locator("#help[open]").count() == 0
    for key, tool in (("l", "lasso"), ("r", "rectangle"), ("h", "hexagon"), ("v", "pan")):
        eye.page.keyboard.press(key)
        assert eye.app("tool") == tool
    eye.page.keyboard.press("b")
    assert eye.ask("siderea.app.hex.value.on") is True
    eye.page.keyboard.press("b")
    eye.page.focus("#map .plane-points")
    before = eye.where(0)
    eye.page.keyboard.press("ArrowLeft")
    assert eye.where(0)[0] == pytest.approx(before[0] + 50, abs=1)
    eye.page.keyboard.press("+")
    assert eye.ask("siderea.map.camera.zoomed") > 1.3
    eye.ask(
        "(() => { const p = siderea.map; [p.camera.x, p.camera.y] = p.positions.slice(0, 2); })()"
    )
    eye.page.keyboard.press("Enter")
    assert eye.app("object") == 0
    eye.page.keyboard.press("]")
    assert eye.app("object") == 1
    eye.page.keyboard.press("e")
    eye.page.keyboard.type("vbh")  # keys typed into a box are text
    assert eye.page.input_value("#expression") == "vbh"


def test_every_control_has_a_name_and_the_focus_goes_in_order(eye):
    eye.click(13)
    eye.page.wait_for_selector(".object[data-row='13']")
    nameless = eye.ask(
        """[...document.querySelectorAll('button, input, select, [role=tab], [tabindex="0"]')]
        .filter(e => !(e.getAttribute('aria-label') || e.textContent.trim() || e.title
          || (e.labels && e.labels.length)))
        .map(e => e.outerHTML.slice(0, 90))"""
    )
    assert nameless == []
    seen = []
    eye.ask("document.activeElement.blur()")
    eye.ask("window.getSelection().removeAllRanges()")
    eye.page.locator(".skip").focus()
    for _ in range(60):
        eye.page.keyboard.press("Tab")
        seen.append(
            eye.ask(
                "['header','controls','map','dock','details'].find(id =>"
                " document.getElementById(id).contains(document.activeElement)) ?? 'other'"
            )
        )
    order = [one for one in dict.fromkeys(seen) if one != "other"]
    assert order == ["header", "controls", "map", "dock", "details"]


def test_tour_comes_once_and_can_be_skipped(look):
    eye = look(tour=True)
    eye.page.wait_for_selector(".tour:not([hidden])")
    eye.page.click("#tour-next")
    assert "2 of 4" in eye.text(".tour")
    eye.page.click("#tour-skip")
    assert eye.page.locator(".tour:not([hidden])").count() == 0
    eye.page.reload()
    eye.page.wait_for_selector("body[data-state=ready]")
    assert eye.page.locator(".tour:not([hidden])").count() == 0
