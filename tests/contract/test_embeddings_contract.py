"""What every embedding promises, whatever its method."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from siderea.embeddings.manifold import LANDMARKS, ManifoldMap
from siderea.embeddings.pca import PCA
from siderea.embeddings.tsne import TSNEMap
from siderea.errors import DataError

EMBEDDINGS = [
    PCA(n_components=2),
    TSNEMap(perplexity=8, n_iter=100, n_jobs=1),
    *(ManifoldMap(method, n_neighbors=8) for method in LANDMARKS),
]


@pytest.fixture(params=EMBEDDINGS, ids=lambda e: getattr(e, "method", type(e).__name__))
def embedding(request):
    return clone(request.param)


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)


def learned(embedding):
    return [name for name in vars(embedding) if name.endswith("_") and not name.startswith("_")]


def test_making_one_learns_nothing_and_keeps_its_parameters(embedding):
    assert learned(embedding) == []
    assert clone(embedding).get_params() == embedding.get_params()


def test_fit_returns_itself_and_keeps_parameters_and_input(embedding, X, capsys):
    kept, before = X.copy(), embedding.get_params()
    assert embedding.fit(X) is embedding
    assert embedding.get_params() == before
    assert "n_features_in_" in learned(embedding)
    np.testing.assert_array_equal(X, kept)
    assert capsys.readouterr() == ("", "")


def test_fit_transform_and_transform_give_one_row_each(embedding, X):
    assert embedding.fit_transform(X).shape == (40, 2)
    assert embedding.transform(X[:7]).shape == (7, 2)


def test_fit_transform_is_reproducible_over_copies(embedding, X):
    np.testing.assert_array_equal(
        clone(embedding).fit_transform(X), clone(embedding).fit_transform(X.copy())
    )


def test_memory_order_and_lists_do_not_matter(embedding, X):
    plain = clone(embedding).fit_transform(X.astype(float))
    np.testing.assert_array_equal(
        plain, clone(embedding).fit_transform(np.asfortranarray(X.astype(float)))
    )
    np.testing.assert_array_equal(plain, clone(embedding).fit_transform(X.astype(float).tolist()))


def test_order_of_the_rows_is_kept(embedding):
    X = np.vstack([np.random.default_rng(1).normal(size=(20, 5)) + c for c in (0, 30)])
    Y = embedding.fit_transform(X)
    between = np.abs(Y[:20].mean(axis=0) - Y[20:].mean(axis=0))
    within = np.maximum(Y[:20].std(axis=0), Y[20:].std(axis=0))
    assert (between > 2 * within).any() or np.linalg.norm(between) > np.ptp(Y) / 3


def test_unfitted_one_refuses_to_transform(embedding, X):
    with pytest.raises(NotFittedError):
        embedding.transform(X)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_values_that_are_not_finite_are_counted(embedding, X, broken):
    X[[3, 4], 2] = broken
    with pytest.raises(DataError, match="2 of 40 rows"):
        embedding.fit(X)


def test_tables_of_another_shape_are_refused(embedding, X):
    with pytest.raises(DataError):
        embedding.fit(X[0])
    embedding.fit(X)
    with pytest.raises(DataError, match="found 4"):
        embedding.transform(X[:, :4])
