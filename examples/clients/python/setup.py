"""Begins the setup of an authenticator app and prints the answer."""

import json
import os
import sys

import requests


class BearerAuth(requests.auth.AuthBase):
    """Sends an access token.

    A plain Authorization header would give way to an entry for the same
    host in the user's ~/.netrc; an auth object does not.
    """

    def __init__(self, token):
        self.token = token

    def __call__(self, request):
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


def setup(base_url, token):
    return requests.post(
        f"{base_url}/mfa/setup",
        auth=BearerAuth(token),
        headers={"Accept": "application/json"},
        # json= also sets the Content-Type.
        json={
            "mfaType": "GOOGLE_AUTH",
            "email": "user@example.com",
            "deviceInfo": {"name": "iPhone 12", "type": "mobile"},
        },
        timeout=10,
    )


def error_text(response):
    try:
        return response.json()["error"]
    except (ValueError, KeyError, TypeError):
        return f"the server answered {response.status_code}"


def main():
    base_url = os.environ.get("MFA_URL", "http://localhost:8080")
    token = os.environ.get("MFA_TOKEN")
    if not token:
        sys.exit("MFA_TOKEN is not set: it holds your access token")

    try:
        response = setup(base_url, token)
        if response.status_code != 200:
            sys.exit(f"MFA setup failed: {error_text(response)}")
        print(json.dumps(response.json(), indent=2))
    except requests.RequestException as error:
        sys.exit(f"MFA setup failed: {error}")


if __name__ == "__main__":
    main()
