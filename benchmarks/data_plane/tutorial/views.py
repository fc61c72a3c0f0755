"""The prediction: the algorithm looked up in the database, one row through pandas and scikit-learn, one row saved."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
from rest_framework import status, views
from rest_framework.request import Request
from rest_framework.response import Response

from benchmarks.data_plane.tutorial.models import MLAlgorithm, MLRequest

# Made by the benchmark itself a moment ago.
pipeline = joblib.load(Path(os.environ["BENCH_MODEL"]) / "model.joblib")


def compute_prediction(input_data: dict[str, Any]) -> dict[str, Any]:
    """The label and the probability of the second label."""
    frame = pd.DataFrame([input_data])
    probability = pipeline.predict_proba(frame)[0]
    label = pipeline.classes_[int(probability[1] > probability[0])]
    return {"probability": float(probability[1]), "label": label, "status": "OK"}


class PredictView(views.APIView):
    """A prediction by the algorithm that is active in the status asked for."""

    def post(self, request: Request, endpoint_name: str) -> Response:
        """The reply, saved before it is sent."""
        algorithm_status = request.query_params.get("status", "production")
        algorithms = MLAlgorithm.objects.filter(
            parent_endpoint__name=endpoint_name, status__status=algorithm_status, status__active=True
        )
        if len(algorithms) != 1:
            return Response({"status": "Error"}, status=status.HTTP_400_BAD_REQUEST)
        prediction = compute_prediction(request.data)
        ml_request = MLRequest(
            input_data=json.dumps(request.data),
            full_response=json.dumps(prediction),
            response=prediction["label"],
            feedback="",
            parent_mlalgorithm=algorithms[0],
        )
        ml_request.save()
        prediction["request_id"] = ml_request.id
        return Response(prediction)
