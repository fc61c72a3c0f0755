"""What the FastAPI servers take and answer. The fields are named as in the ONNX model, the JSON as in the data."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Person(BaseModel):
    """A row of the Adult data."""

    model_config = ConfigDict(alias_generator=lambda name: name.replace("_", "-"))

    age: int | None
    workclass: str | None
    fnlwgt: int | None
    education: str | None
    education_num: int | None
    marital_status: str | None
    occupation: str | None
    relationship: str | None
    race: str | None
    sex: str | None
    capital_gain: int | None
    capital_loss: int | None
    hours_per_week: int | None
    native_country: str | None


class Answer(BaseModel):
    """The label, and the probability of the second one."""

    label: str
    probability: float
