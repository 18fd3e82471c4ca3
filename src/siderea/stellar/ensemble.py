"""The whole network of an ensemble: features, embedding, backbone, heads."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from siderea.stellar.blocks import PeriodicEmbedding, make_backbone
from siderea.stellar.features import FeatureOptions, Features
from siderea.stellar.heads import make_heads
from siderea.stellar.mixture import Mixture

__all__ = ["Ensemble", "EnsembleSettings"]


@dataclass(frozen=True)
class EnsembleSettings:
    """What an ensemble is built of.

    Parameters
    ----------
    members : int
        M networks.
    backbone : {"wide", "resdense", "plain"}
        See `siderea.stellar.blocks`.
    heads : {"causal", "independent", "scaled_sigmoid"}
        See `siderea.stellar.heads`.
    n_components : int
        Gaussians per label.
    periodic : bool
        Embed each input in learned waves first.
    backbone_options : dict
        Options of the backbone: its widths, depth, dropout, attention.
    """

    members: int = 8
    backbone: str = "wide"
    heads: str = "causal"
    n_components: int = 3
    periodic: bool = True
    backbone_options: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON can say them."""
        return asdict(self)


class Ensemble(nn.Module):
    """M networks from magnitudes to mixtures.

    Parameters
    ----------
    n_bands, n_labels : int
        B and L.
    features : FeatureOptions
        What the networks may look at.
    settings : EnsembleSettings
        What they are built of.
    """

    def __init__(
        self, n_bands: int, n_labels: int, features: FeatureOptions, settings: EnsembleSettings
    ) -> None:
        super().__init__()
        self.members = settings.members
        self.features = Features(n_bands, features)
        n_embedded, n_plain = self.features.n_embedded, self.features.n_plain
        self.embedding: nn.Module = nn.Identity()
        if settings.periodic:
            embedding = PeriodicEmbedding(self.members, n_embedded)
            self.embedding, n_embedded = embedding, embedding.n_out
        self.backbone = make_backbone(
            settings.backbone, self.members, n_embedded + n_plain, **settings.backbone_options
        )
        self.heads = make_heads(
            settings.heads,
            self.members,
            int(self.backbone.n_out),  # type: ignore[arg-type]
            n_labels,
            n_components=settings.n_components,
        )

    def forward(self, mag: Tensor, err: Tensor, context: Tensor) -> tuple[list[Mixture], Tensor]:
        """Return a mixture per label, L of (K, M, N), and the giants' logit (M, N).

        Parameters
        ----------
        mag, err : (M, N, B) or (N, B) tensor
            NaN is missing; without the members' axis all members see the same stars.
        context : (M, N, 3) or (N, 3) tensor
            See `siderea.stellar.features.CONTEXT`.
        """
        embedded, plain = (
            part.transpose(-1, -2).expand(self.members, -1, -1)
            for part in self.features(mag, err, context)
        )
        inputs = torch.cat([self.embedding(embedded), plain], dim=1)
        mixtures, logit = self.heads(self.backbone(inputs))
        return mixtures, logit
