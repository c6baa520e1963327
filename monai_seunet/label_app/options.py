"""Options of clients, read and checked by pydantic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from monai_seunet.utils.errors import InputError


class ClientOptions(BaseModel):
    """Options with defaults; a client may omit an option, or send None, an empty text or an empty list for it."""

    model_config = ConfigDict(allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_switch(cls, value: Any) -> Any:
        if isinstance(value, bool):  # pydantic would take True for 1
            raise ValueError("give a number")
        return value

    @classmethod
    def read(cls, request: Mapping[str, Any]) -> Self:
        """Read the options of a request, which may have other keys, too.

        Raises:
            InputError: for an option out of range; it names the option.
        """
        given = {name: request[name] for name in cls.model_fields if request.get(name) not in (None, "", [], ())}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            name, text = str(first["loc"][0]), first["msg"].removeprefix("Value error, ")
            raise InputError(f"{name} is {given[name]!r}; {text[0].lower()}{text[1:]}") from error
