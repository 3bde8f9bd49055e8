"""Django's email by Fairlead, by one setting: `EMAIL_BACKEND = "fairlead.django.EmailBackend"`.

The configuration is `fairlead.toml` unless the setting `FAIRLEAD_CONFIG` names another file. `client()` is what the
backend sends by, for whatever else a project does by Fairlead.
"""

from fairlead.django.backend import EmailBackend, SendStatus, client

__all__ = ["EmailBackend", "SendStatus", "client"]
