"""Log-in and log-out of people, under the names that browsable pages link to."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

urlpatterns = [
    path("login", LoginView.as_view(template_name="rest_framework/login.html"), name="login"),
    path("logout", LogoutView.as_view(), name="logout"),
]
