"""Log-in and log-out of people, under the names that browsable pages link to."""

from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

# The host of the OpenID provider, for people to know it by; None without one.
ABOUT = {"provider": urlsplit(settings.OIDC_ISSUER).hostname}

urlpatterns = [
    path("login", LoginView.as_view(template_name="rest_framework/login.html", extra_context=ABOUT), name="login"),
    path("logout", LogoutView.as_view(), name="logout"),
]
