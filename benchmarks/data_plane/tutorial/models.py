"""The tutorial's four tables."""

from __future__ import annotations

from django.db import models


class Endpoint(models.Model):
    """A name in a URL."""

    name = models.CharField(max_length=128)
    created_at = models.DateTimeField(auto_now_add=True)


class MLAlgorithm(models.Model):
    """A version of a model."""

    name = models.CharField(max_length=128)
    version = models.CharField(max_length=128)
    created_at = models.DateTimeField(auto_now_add=True)
    parent_endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE)


class MLAlgorithmStatus(models.Model):
    """Whether a version is in production."""

    status = models.CharField(max_length=128)
    active = models.BooleanField()
    created_at = models.DateTimeField(auto_now_add=True)
    parent_mlalgorithm = models.ForeignKey(MLAlgorithm, on_delete=models.CASCADE, related_name="status")


class MLRequest(models.Model):
    """One prediction."""

    input_data = models.CharField(max_length=10000)
    full_response = models.CharField(max_length=10000)
    response = models.CharField(max_length=10000)
    feedback = models.CharField(max_length=10000, blank=True, null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    parent_mlalgorithm = models.ForeignKey(MLAlgorithm, on_delete=models.CASCADE)
