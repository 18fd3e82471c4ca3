"""Selections in a real browser: lasso, spectra, diagrams, tables, and ways out."""

import io

import numpy as np
import pandas as pd
import pytest
from astropy.io.votable import parse_single_table
from astropy.table import Table
from matplotlib.path import Path as Polygon

pytestmark = pytest.mark.web

AROUND_BIN = [(6, 8), (18, 8), (20, 20), (5, 21), (3, 14)]


def inside(survey, polygon):
    return np.flatnonzero(Polygon(polygon).contains_points(survey.places)).tolist()


def lasso(eye, polygon, keys=(), plane="map"):
    eye.page.keyboard.press("l")
    eye.drag(eye.on_page(polygon, plane), keys)


def test_lasso_selects_what_a_reference_implementation_does(eye, survey):
    lasso(eye, AROUND_BIN)
    wanted = inside(survey, AROUND_BIN)
    assert eye.selected == wanted
    assert len(wanted) > 100
    assert eye.text("#selection-count") == f"{len(wanted)} objects"
    odd = [(-26, -5), (-14, 5), (-26, 5), (-14, -5)]  # crosses itself
    lasso(eye, odd)
    assert eye.selected == inside(survey, odd)


def test_rectangles_add_and_take_away(eye, survey):
    eye.page.keyboard.press("r")
    left, right = [(-30, -10), (-20, 10)], [(-22, -10), (-10, 10)]
    eye.drag(eye.on_page(left))
    x, y = survey.places.T
    tall = np.abs(y) < 10
    first = (x > -30) & (x < -20) & tall
    second = (x > -22) & (x < -10) & tall
    assert eye.selected == np.flatnonzero(first).tolist()
    eye.drag(eye.on_page(right), ["Shift"])
    assert eye.selected == np.flatnonzero(first | second).tolist()
    eye.drag(eye.on_page(left), ["Alt"])
    assert eye.selected == np.flatnonzero(second & ~first).tolist()
    eye.page.keyboard.press("Escape")
    assert eye.selected == []


def test_spectrum_of_a_click_zooms_to_a_line(eye, survey):
    eye.click(250)
    eye.page.wait_for_selector(".spectrum[data-row='250']")
    assert "tsne_id 250" in eye.text(".spectrum .plot-legend")
    eye.page.get_by_role("button", name="Hα", exact=True).click()
    eye.page.hover(".spectrum .u-over")
    eye.until("document.querySelector('.readout').textContent.includes('Å')")
    wavelength, flux = eye.text(".spectrum .readout").split("Å")
    assert float(wavelength) == pytest.approx(6562.8, abs=3)
    pixel = np.abs(
        np.concatenate([np.linspace(4718, 4900, 250), np.linspace(6481, 6739, 250)])
        - float(wavelength)
    ).argmin()
    assert float(flux) == pytest.approx(survey.flux[250, pixel], abs=0.01)
    eye.tab("ccf")
    eye.until("document.querySelector('#panel-ccf .empty').textContent !== 'Correlating …'")


def test_mean_of_a_selection_against_a_reference(eye):
    lasso(eye, AROUND_BIN)
    eye.page.wait_for_selector(".spectrum[data-mean]")
    legend = eye.page.locator(".spectrum .plot-legend")
    legend.get_by_text("mean ±σ of all shown (360)").wait_for()
    assert "mean ±σ of the selection" in legend.inner_text()
    eye.page.focus("#reference")
    lasso(eye, [(-30, -10), (-10, -10), (-10, 10), (-30, 10)])
    eye.page.select_option("#reference", "previous")
    legend.get_by_text("the selection before: Lasso").wait_for()
    eye.page.locator(".spectrum summary").click()
    eye.page.get_by_label("only the difference of the means").check()
    legend.get_by_text("mean of the selection − the selection before").wait_for()
    eye.page.select_option("#colour-by", "classes:class")
    eye.until("siderea.app.colour.value.data.categories.length > 0")
    eye.page.focus("#reference")
    eye.page.select_option("#reference", label="HAE")
    legend.get_by_text("mean ±σ of HAE").wait_for()


def test_model_and_its_two_stars_lie_over_the_spectrum(look, survey):
    """Of a fit that the server is made to have: the server's own tests are elsewhere."""
    eye = look(ready=False)
    parts = np.stack([survey.flux[250], survey.flux[250] * 0.7, survey.flux[250] * 0.3])

    def schema(route):
        content = route.fetch().json()
        content["has"]["model"] = True
        route.fulfill(json=content)

    eye.page.route("**/api/schema", schema)
    eye.page.route(
        "**/api/spectra/250/model",
        lambda route: route.fulfill(
            body=parts.astype("<f4").tobytes(),
            headers={"X-Siderea-Parts": "model,star_1,star_2"},
            content_type="application/octet-stream",
        ),
    )
    eye.open()
    eye.click(250)
    legend = eye.page.locator(".spectrum .plot-legend")
    legend.get_by_text("star 2").wait_for()
    assert legend.inner_text().split("\n") == ["tsne_id 250", "model", "star 1", "star 2"]
    eye.click(10)  # has no fit
    legend.get_by_text("tsne_id 10").wait_for()
    assert legend.inner_text() == "tsne_id 10"


def test_island_of_an_object(eye, survey):
    eye.click(130)
    eye.page.wait_for_selector(".object[data-row='130']")
    eye.page.keyboard.press("c")
    eye.until("siderea.app.selection.value.rows.length > 0")
    assert eye.selected == np.flatnonzero(survey.name == "BIN").tolist()
    assert eye.ask("siderea.app.selection.value.title") == "island 7"
    eye.page.keyboard.press("Escape")
    eye.tab("object")
    eye.page.get_by_role("button", name="Select all whose field is the same").click()
    eye.until("siderea.app.selection.value.rows.length > 0")
    assert eye.selected == list(range(0, survey.n, 2))


def test_kiel_diagram_is_linked_and_its_axes_run_backwards(eye, survey):
    eye.tab("diagrams")
    eye.until("siderea.diagrams.kiel?.positions.length > 0 && siderea.diagrams.sky !== null")
    teff, logg = survey.catalogue["teff"].to_numpy(), survey.catalogue["logg"].to_numpy()
    cool, hot = int(np.nanargmin(teff)), int(np.nanargmax(teff))
    assert eye.where(hot, "diagrams.kiel")[0] < eye.where(cool, "diagrams.kiel")[0]
    low, high = int(logg.argmin()), int(logg.argmax())
    assert eye.where(low, "diagrams.kiel")[1] < eye.where(high, "diagrams.kiel")[1]
    giants = [(5200, 3.4), (5200, 1.0), (3900, 1.0), (3900, 3.4)]
    lasso(eye, giants, plane="diagrams.kiel")
    points = np.column_stack([teff, logg])
    assert eye.selected == np.flatnonzero(Polygon(giants).contains_points(points)).tolist()
    eye.page.select_option("#diagram-x", "catalogue:fe_h")
    eye.until("siderea.diagrams.kiel.axes.x.startsWith('[Fe/H]')")


def test_sky_is_hammers_projection(eye, survey):
    eye.tab("diagrams")
    eye.until("siderea.diagrams.sky?.positions.length > 0")
    xy = np.array(eye.ask("Array.from(siderea.diagrams.sky.positions)")).reshape(-1, 2)
    ra, dec = np.radians(survey.catalogue[["ra", "dec"]].to_numpy().T)
    longitude = (ra + np.pi) % (2 * np.pi) - np.pi
    z = np.sqrt(1 + np.cos(dec) * np.cos(longitude / 2))
    wanted = np.sqrt(8) * np.cos(dec) * np.sin(longitude / 2) / z
    assert np.allclose(xy[:, 0], -wanted, atol=1e-5)
    assert np.allclose(xy[:, 1], np.sqrt(2) * np.sin(dec) / z, atol=1e-5)


def test_table_sorts_scrolls_and_opens(eye, survey):
    eye.tab("table")
    rows = eye.page.locator(".table-body .table-row")
    rows.first.wait_for()
    assert rows.count() < 60  # only those in sight
    eye.page.get_by_role("columnheader", name="Teff [K]").get_by_role("button").click()
    teff = survey.catalogue["teff"]
    hottest = int(np.nanargmax(teff))
    assert rows.first.get_attribute("data-row") == str(hottest)
    eye.page.get_by_role("columnheader", name="[Fe/H]").get_by_role("button").click()
    eye.page.get_by_role("columnheader", name="[Fe/H]").get_by_role("button").click()
    fe_h = survey.catalogue["fe_h"].to_numpy()  # of both signs
    shown = rows.evaluate_all("rows => rows.map(row => Number(row.dataset.row))")
    assert shown == np.argsort(fe_h.astype("f4"), kind="stable")[: len(shown)].tolist()
    eye.page.get_by_role("columnheader", name="class").get_by_role("button").click()
    first = int(rows.first.get_attribute("data-row"))
    assert survey.name[first] == "NOR"
    eye.page.get_by_role("columnheader", name="Teff [K]").get_by_role("button").click()
    eye.until(
        f"document.querySelector('.table-body .table-row .id').textContent === 'star_{hottest:04d}'"
    )
    eye.ask("document.querySelector('.table-scroll').scrollTop = 1e9")
    eye.page.wait_for_selector(".table-row[data-row='5']")  # no Teff: last
    eye.page.locator(".table-row[data-row='5']").click()
    assert eye.app("object") == 5
    eye.page.locator(".table-scroll").focus()
    eye.page.keyboard.press("ArrowUp")
    assert eye.app("object") == int(np.nanargmin(teff))


def test_histograms_show_the_median_of_the_selection(eye, survey):
    eye.tab("histograms")
    lasso(eye, AROUND_BIN)
    figure = eye.page.locator(".histograms figure", has_text="log g")
    figure.get_by_text("median").wait_for()
    logg = survey.catalogue["logg"].to_numpy()[eye.selected]
    said = float(figure.inner_text().split("median ")[1].split()[0])
    assert said == pytest.approx(np.median(logg), abs=0.02)


@pytest.mark.parametrize("kind", ["csv", "fits", "votable"])
def test_export_holds_what_was_selected(eye, survey, kind):
    lasso(eye, AROUND_BIN)
    with eye.page.expect_download() as started:
        eye.page.click(f"#export-{kind}")
    path = started.value.path()
    if kind == "csv":
        table = pd.read_csv(path)
    elif kind == "fits":
        table = Table.read(path, format="fits").to_pandas()
    else:
        table = parse_single_table(io.BytesIO(path.read_bytes())).to_table().to_pandas()
    ids = [one.decode() if isinstance(one, bytes) else str(one) for one in table["id"]]
    assert [one.strip() for one in ids] == [survey.ids[row] for row in eye.selected]
    assert np.allclose(
        table["teff"].astype(float), survey.catalogue["teff"].to_numpy()[eye.selected], rtol=1e-6
    )


def test_samp_says_in_one_line_that_no_hub_runs(eye):
    lasso(eye, AROUND_BIN)
    eye.page.get_by_role("button", name="Send by SAMP").click()
    eye.page.wait_for_selector(".notice.error")
    assert "hub" in eye.text(".notice.error").lower()


def test_light_curves_take_the_place_of_spectra(look, lightcurve_server):
    eye = look(address=lightcurve_server.address)
    assert "40 light curves" in eye.text("#header")
    assert eye.page.locator("#tab-ccf").count() == 0
    eye.click(12)
    eye.page.wait_for_selector(".spectrum[data-row='12']")
    assert eye.text("#tab-spectrum") == "Light curve"
    eye.page.hover(".spectrum .u-over")
    eye.until("document.querySelector('.readout').textContent !== ''")
    assert "Å" not in eye.text(".spectrum .readout")
