"""What the demo prints once it answers: where it is, and commands to try by copy and paste."""

from __future__ import annotations

import json

PERSON = {
    "age": 37,
    "workclass": "Private",
    "fnlwgt": 34146,
    "education": "HS-grad",
    "education-num": 9,
    "marital-status": "Married-civ-spouse",
    "occupation": "Craft-repair",
    "relationship": "Husband",
    "race": "White",
    "sex": "Male",
    "capital-gain": 0,
    "capital-loss": 0,
    "hours-per-week": 68,
    "native-country": "United-States",
}

_COMMANDS = """\
# a prediction for a person of the census, answered by the algorithm in production
curl -s -H "Authorization: Bearer $ML_PIPELINE_API_KEY" -H 'Content-Type: application/json' \\
  -d '{person}' \\
  {address}/api/v1/income_classifier/predict | tee prediction.json

# the same request in the log, and what turned out to be true
REQUEST_ID=$(grep -o '"request_id":"[^"]*"' prediction.json | cut -d'"' -f4)
curl -s -H "Authorization: Bearer $ML_PIPELINE_API_KEY" {address}/api/v1/mlrequests/$REQUEST_ID
curl -s -X PUT -H "Authorization: Bearer $ML_PIPELINE_API_KEY" -H 'Content-Type: application/json' \\
  -d '{{"feedback": "<=50K"}}' {address}/api/v1/mlrequests/$REQUEST_ID

# which algorithms there are, and who put which where
curl -s -H "Authorization: Bearer $ML_PIPELINE_API_KEY" '{address}/api/v1/mlalgorithmstatuses?active=true'
"""


def text(address: str, *, command: str, secret: str | None) -> str:
    """The guide. `command` runs `ml-pipeline` here; `secret` is the API key, None where an earlier start made it."""
    lines = ["", f"ML_Pipeline is at {address}  (log in there, or see {address}/api/docs)", ""]
    if secret is not None:
        lines.append(f"export ML_PIPELINE_API_KEY={secret}")
    else:
        lines += [
            "The API key was printed at the first start. For another one:",
            f"  {command} keys create another --scope predict --scope feedback --scope read --scope manage",
            "",
            "export ML_PIPELINE_API_KEY=<your key>",
        ]
    commands = _COMMANDS.format(address=address, person=json.dumps(PERSON))
    return "\n".join([*lines, "", commands, "Ctrl-C stops."])
