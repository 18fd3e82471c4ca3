"""The map in a real browser: first picture, colours, filters, hexagons, switching, recovery."""

import io

import numpy as np
import pytest
from matplotlib.image import imread

pytestmark = pytest.mark.web

MAP = "#map .plane-points"


def picture(eye, selector="#map"):
    return imread(io.BytesIO(eye.page.locator(selector).screenshot()))[..., :3]


def coloured(image):
    """Share of pixels that are of no grey."""
    return float((np.ptp(image, axis=-1) > 0.15).mean())


def settled(eye):
    eye.until("!document.querySelector('.notice')")
    return picture(eye)


def test_first_picture_needs_schema_places_and_one_colour(look):
    eye = look()
    assert "Projection of 360 spectra" in eye.text("#header")
    asked = [url.split("/api/")[1].split("?")[0] for url in eye.asked if "/api/" in url]
    assert asked[0] == "schema"
    assert sorted(asked[1:3]) == ["columns/catalogue%3Ateff", "maps/tsne/xy"]
    assert not [one for one in asked if one.startswith(("columns", "maps"))][2:]
    assert all(url.startswith(eye.address) for url in eye.asked)
    assert coloured(picture(eye)) > 0.003
    assert eye.ask("document.documentElement.scrollWidth") == 1280


def test_nothing_is_drawn_before_the_canvas_has_its_size(look):
    """Points are sized by it: at the 300 pixels of a new canvas each would cover the map."""
    eye = look(
        script="window.sizes = []; for (const name of ['drawArrays', 'drawElements']) {"
        " const draw = WebGL2RenderingContext.prototype[name];"
        " WebGL2RenderingContext.prototype[name] = function (...all) {"
        " sizes.push(this.canvas.width); return draw.apply(this, all); }; }"
    )
    eye.tab("diagrams")
    eye.until("siderea.diagrams.kiel?.positions.length > 0 && siderea.diagrams.sky !== null")
    eye.until("new Set(sizes).size >= 3")  # map, diagram, sky
    assert 300 not in eye.ask("sizes")


def test_colour_by_number_its_range_and_map(eye):
    before = settled(eye)
    eye.page.select_option("#colour-by", "catalogue:logg")
    eye.until("siderea.app.colour.value.data.column.name === 'logg'")
    low = eye.ask("siderea.app.colour.value.low")
    handle = eye.page.get_by_label("Range of the colours, lowest", exact=True)
    handle.focus()
    for _ in range(5):
        eye.page.keyboard.press("PageUp")
    assert eye.ask("siderea.app.colour.value.low") > low
    eye.page.get_by_label("Range of the colours, highest value").fill("3.5")
    eye.page.keyboard.press("Tab")
    assert eye.ask("siderea.app.colour.value.high") == 3.5
    eye.page.get_by_label("Colour map").select_option("cividis")
    assert eye.ask("siderea.app.colour.value.map") == "cividis"
    assert np.abs(settled(eye) - before).max() > 0.2
    eye.page.get_by_role("button", name="2–98 %").click()
    assert eye.ask("siderea.app.colour.value.low") == pytest.approx(low)


def test_legend_highlights_hides_and_selects(eye, survey):
    eye.page.select_option("#colour-by", "classes:class")
    legend = eye.page.locator(".legend")
    legend.get_by_text("HAE", exact=True).wait_for()
    assert "120" in legend.inner_text()
    legend.get_by_role("button", name="HAE Hα emission").click()
    highlighted = eye.ask(
        "siderea.app.colour.value.data.categories[siderea.app.colour.value.highlight]"
    )
    assert highlighted == "HAE"
    legend.get_by_text("HAE", exact=True).hover()
    legend.get_by_role("button", name="Hide HAE").click()
    assert "240 of 360 shown" in eye.text(".caption")
    legend.get_by_text("HFR_BIN", exact=True).hover()
    legend.get_by_role("button", name="Select all of HFR_BIN").click()
    assert eye.selected == np.flatnonzero(survey.name == "BIN").tolist()
    eye.page.get_by_role("button", name="show all").click()
    assert "360 objects" in eye.text(".caption")


def test_filters_by_range_category_and_expression(eye, survey):
    teff = survey.catalogue["teff"].to_numpy()
    eye.page.select_option("#add-filter", "catalogue:teff")
    eye.page.get_by_label("Teff [K], lowest value").fill("5000")
    eye.page.keyboard.press("Tab")
    hot = teff > 5000
    eye.until(f"siderea.app.mask.value.count === {hot.sum()}")
    eye.page.select_option("#add-filter", "catalogue:field")
    eye.page.get_by_label("south (180)").uncheck()
    north = survey.catalogue["field"].to_numpy() == "north"
    eye.until(f"siderea.app.mask.value.count === {(hot & north).sum()}")
    eye.page.fill("#expression", "snr > 40 and logg < 4.3")
    eye.page.keyboard.press("Enter")
    wanted = hot & north & (survey.catalogue["snr"] > 40) & (survey.catalogue["logg"] < 4.3)
    eye.until(f"siderea.app.mask.value.count === {wanted.sum()}")
    kept = eye.ask("Array.from(siderea.app.mask.value.keep)")
    assert np.array_equal(np.array(kept, bool), wanted.to_numpy())
    eye.page.fill("#expression", "__import__('os')")
    eye.page.keyboard.press("Enter")
    eye.page.wait_for_selector(".group .error:not([hidden])")
    eye.page.get_by_role("button", name="clear", exact=True).click()
    assert eye.ask("siderea.app.mask.value.count") == survey.n


def test_hexagons_count_average_and_select(eye, survey):
    eye.page.check("#hex-on")
    row = 40
    eye.page.mouse.move(*eye.where(row))
    eye.page.wait_for_selector(".tip:not([hidden])")
    tip = eye.text("#map .tip")
    eye.click(row)
    title = eye.ask("siderea.app.selection.value.title")
    members = np.array(eye.selected)
    noun = "object" if members.size == 1 else "objects"
    assert title.startswith("Hex ID: ")
    assert title.endswith(f"({members.size} {noun})")
    assert tip.startswith(title)
    assert row in members
    teff = survey.catalogue["teff"].to_numpy()[members]
    assert float(tip.split("Teff ")[1].split()[0].replace(",", "")) == pytest.approx(
        np.nanmean(teff), abs=0.1
    )
    centre = np.array(
        eye.ask(
            "(() => { const h = siderea.app.hexagons.value; const c = h.cell[40];"
            " return [h.centre[2 * c], h.centre[2 * c + 1], h.radius]; })()"
        )
    )
    assert np.hypot(*(survey.places[members] - centre[:2]).T).max() <= centre[2] * 1.001
    cells = np.array(eye.ask("Array.from(siderea.app.hexagons.value.cell)"))
    assert np.array_equal(np.flatnonzero(cells == cells[row]), members)


def test_every_point_lies_in_the_nearest_hexagon(eye, survey):
    eye.page.check("#hex-on")
    cell = np.array(eye.ask("Array.from(siderea.app.hexagons.value.cell)"))
    centre = np.array(eye.ask("Array.from(siderea.app.hexagons.value.centre)")).reshape(-1, 2)
    apart = np.hypot(*(survey.places[:, None] - centre[None]).transpose(2, 0, 1))
    own = apart[np.arange(survey.n), cell]
    assert np.all(own <= apart.min(axis=1) + 1e-4)  # hexagons of a lattice are its Voronoi cells


def test_maps_are_switched_and_objects_kept(eye):
    eye.click(3)
    before = eye.where(3)
    eye.page.select_option("#map-choice", "pca")
    eye.until("siderea.app.map.value === 'pca'")
    assert np.hypot(*np.subtract(eye.where(3), before)) > 20
    assert eye.app("object") == 3
    assert "map=pca" in eye.page.url


def test_pan_zoom_and_fit(eye):
    start = np.array(eye.where(0))
    x, y = start + 60
    eye.drag([(x, y), (x + 80, y - 30)])
    assert np.allclose(np.array(eye.where(0)) - start, (80, -30), atol=1)
    eye.page.mouse.move(*eye.where(0))
    eye.page.mouse.wheel(0, -400)
    eye.until("siderea.map.camera.zoomed > 1.5")
    assert np.allclose(eye.where(0), start + np.array([80, -30]), atol=1.5)
    eye.page.keyboard.press("f")
    assert np.allclose(eye.where(0), start, atol=1)


def test_picture_returns_after_the_context_was_lost(eye):
    before = settled(eye)
    eye.ask(
        "window.loser = document.querySelector('#map .plane-points').getContext('webgl2')"
        ".getExtension('WEBGL_lose_context')"
    )
    eye.ask(
        "new Promise(done => { document.querySelector('#map .plane-points')"
        ".addEventListener('webglcontextlost', () => setTimeout(done, 0)); loser.loseContext(); })"
    )
    eye.ask(
        "new Promise(done => {"
        " document.querySelector('#map .plane-points')"
        ".addEventListener('webglcontextrestored', () => setTimeout(done, 0));"
        " loser.restoreContext(); })"
    )
    eye.ask("new Promise(requestAnimationFrame)")
    assert np.abs(picture(eye) - before).mean() < 0.002


def test_dark_and_light(look):
    dark = look(dark=True)
    assert picture(dark)[5, 300].max() < 0.1
    dark.page.keyboard.press("t")
    dark.until("document.documentElement.dataset.theme === 'light'")
    dark.page.reload()
    dark.page.wait_for_selector("body[data-state=ready]")
    assert dark.ask("document.documentElement.dataset.theme") == "light"
    assert picture(look())[5, 300].min() > 0.95


def test_an_address_brings_the_view_back(look):
    eye = look(fragment="#map=pca&colour=catalogue:snr&row=17")
    eye.until("siderea.app.object.value === 17")
    assert eye.app("map") == "pca"
    assert eye.ask("siderea.app.colour.value.data.column.name") == "snr"


def test_one_line_where_there_is_no_webgl(look):
    eye = look(
        script="const get = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...more) {"
        " return kind === 'webgl2' ? null : get.call(this, kind, ...more); };",
        ready=False,
    )
    eye.page.goto(eye.address)
    eye.page.wait_for_selector("#loading.stopped")
    assert "WebGL2" in eye.text("#loading")


def test_one_line_where_the_server_has_gone(eye):
    eye.page.route("**/api/**", lambda route: route.abort())
    eye.click(3)
    eye.page.wait_for_selector(".banner:not([hidden])")
    assert "does not answer" in eye.text(".banner")
    eye.page.unroute("**/api/**")
    eye.page.wait_for_selector(".banner", state="hidden")
