"""Options of clients, read and checked by pydantic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, StrictInt, ValidationError, field_validator

from monai_seunet.utils.errors import InputError


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[StrictInt, BeforeValidator(_whole)]  # whole number in a list: 5 or 5.0, and neither true nor "5"


class ClientOptions(BaseModel):
    """Options with defaults; a client may omit an option, or send None, an empty text or an empty list for it.

    The `description` of a field says what to give: it ends the message about a wrong value.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_switch(cls, value: Any) -> Any:
        if isinstance(value, bool):  # pydantic would take True for 1
            raise ValueError("a switch is no number")
        return value

    @classmethod
    def read(cls, request: Mapping[str, Any]) -> Self:
        """Read the options of a request, which may have other keys, too.

        Raises:
            InputError: for an option out of range; it names the option, its value and what to give.
        """
        given = {name: request[name] for name in cls.model_fields if request.get(name) not in (None, "", [], ())}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            name = str(error.errors()[0]["loc"][0])
            raise InputError(f"{name} is {given[name]!r}; give {cls.model_fields[name].description}") from error
