"""The routes of batch jobs and feedback files under `/api/v1/`, none with a trailing slash."""

from __future__ import annotations

from django.urls import path

from ml_pipeline.apps.batches.api import feedback, views
from ml_pipeline.rest import converters

converters.register()

urlpatterns = [
    path("batches", views.BatchList.as_view(), name="batches"),
    path("batches/<id:pk>", views.BatchDetail.as_view(), name="batch"),
    path("batches/<id:pk>/result", views.BatchResult.as_view(), name="batch-result"),
    path("batches/<id:pk>/errors", views.BatchErrors.as_view(), name="batch-errors"),
    path("batches/<id:pk>/cancel", views.BatchCancel.as_view(), name="batch-cancel"),
    path("batches/feedback", feedback.FeedbackFileList.as_view(), name="feedback-files"),
    path("batches/feedback/<id:pk>", feedback.FeedbackFileDetail.as_view(), name="feedback-file"),
    path("batches/feedback/<id:pk>/cancel", feedback.FeedbackFileCancel.as_view(), name="feedback-file-cancel"),
    path("batch-predict", views.BatchPredict.as_view(), name="batch-predict"),
]
