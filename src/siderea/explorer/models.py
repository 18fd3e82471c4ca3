"""What the page sends as JSON, checked at the door."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from siderea.explorer.expression import MOST_CHARACTERS

__all__ = ["Filter", "Label", "Undo"]

MOST_ROWS = 1_000_000


def _writable(text: str) -> str:
    """Refuse what no file or database can hold: lone surrogates and control characters."""
    text.encode("utf-8")
    if any(ord(one) < 32 and one not in "\n\t" for one in text):
        raise ValueError("control characters are not taken")
    return text


Text = Annotated[str, AfterValidator(_writable)]
User = Annotated[Text, Field(min_length=1, max_length=60, pattern=r"\S")]


class _Sent(BaseModel):
    model_config: Any = ConfigDict(extra="forbid", str_strip_whitespace=True)


class Filter(_Sent):
    """A filter in words."""

    expression: Annotated[Text, Field(min_length=1, max_length=MOST_CHARACTERS)]


class Label(_Sent):
    """What someone says of some rows."""

    rows: Annotated[
        list[Annotated[int, Field(ge=0, le=2**32 - 1)]], Field(min_length=1, max_length=MOST_ROWS)
    ]
    kind: Literal["class", "flag"]
    value: Annotated[Text, Field(max_length=60)]
    user: User
    comment: Annotated[Text, Field(max_length=1000)] = ""


class Undo(_Sent):
    """Whose last action is taken back."""

    user: User
