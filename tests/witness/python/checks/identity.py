"""Entra, managed identities and federation, by azure-identity."""

import base64
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from unittest import mock

from azure.core.exceptions import ClientAuthenticationError
from azure.identity import (
    ClientAssertionCredential,
    ClientSecretCredential,
    CredentialUnavailableError,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)

from harness import check, equal, refused
from sandbox import CLIENT, SANDBOX, SECRET, TENANT, TRUST, Fault, application, counters

VAULT = "https://vault.azure.net/.default"


def github_token(client, audience="api://AzureADTokenExchange", token=None):
    """What a job does to get an ID token."""
    base = SANDBOX["github_oidc"]["url"].replace(CLIENT, client)
    url = f"{base}&audience={urllib.parse.quote(audience, safe='')}"
    headers = {"authorization": f"Bearer {token or SANDBOX['github_oidc']['token']}"}
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["value"]


def environment(**variables):
    """Sets variables for as long as a block lasts."""
    return mock.patch.dict(os.environ, variables)


@check
def a_secret_gets_a_token():
    token = ClientSecretCredential(TENANT, CLIENT, SECRET, **TRUST).get_token(VAULT)
    equal(token.token.count("."), 2)


@check
def a_wrong_secret_is_refused():
    credential = ClientSecretCredential(TENANT, CLIENT, "wrong", **TRUST)
    refused(ClientAuthenticationError, lambda: credential.get_token(VAULT), "AADSTS7000215")


@check
def an_unknown_application_is_refused():
    credential = ClientSecretCredential(TENANT, TENANT, SECRET, **TRUST)
    refused(ClientAuthenticationError, lambda: credential.get_token(VAULT), "AADSTS700016")


@check
def an_unknown_tenant_is_refused():
    credential = ClientSecretCredential(CLIENT, CLIENT, SECRET, **TRUST)
    refused(ClientAuthenticationError, lambda: credential.get_token(VAULT))


@check
def a_scope_that_is_no_default_is_refused():
    credential = ClientSecretCredential(TENANT, CLIENT, SECRET, **TRUST)
    refused(ClientAuthenticationError, lambda: credential.get_token("https://vault.azure.net/read"), "AADSTS1002012")


@check
def an_id_token_of_github_gets_a_token_and_each_token_wants_a_new_one():
    own = application()
    client = own["client"]
    for wanted in (1, 2):
        # A credential keeps its token; a new one has none.
        credential = ClientAssertionCredential(TENANT, client, lambda: github_token(client), **TRUST)
        credential.get_token(VAULT)
        equal(counters()[f"github_oidc/tokens/{client}"], wanted)


@check
def an_id_token_for_another_audience_is_refused():
    credential = ClientAssertionCredential(TENANT, CLIENT, lambda: github_token(CLIENT, "api://other"), **TRUST)
    refused(ClientAuthenticationError, lambda: credential.get_token(VAULT), "AADSTS700212")


@check
def an_id_token_of_another_repository_is_refused():
    other = application(subject="repo:example/other:ref:refs/heads/main")["client"]
    credential = ClientAssertionCredential(TENANT, CLIENT, lambda: github_token(other), **TRUST)
    refused(ClientAuthenticationError, lambda: credential.get_token(VAULT), "AADSTS700213")


@check
def an_id_token_that_has_expired_is_refused():
    own = application(assertion_lifetime=0)["client"]
    credential = ClientAssertionCredential(TENANT, own, lambda: github_token(own), **TRUST)
    refused(ClientAuthenticationError, lambda: credential.get_token(VAULT), "AADSTS700024")


@check
def an_id_token_that_somebody_has_changed_is_refused():
    def changed():
        head, claims, signature = github_token(CLIENT).split(".")
        return f"{head}.{claims}.{signature[:-4]}AAAA"

    credential = ClientAssertionCredential(TENANT, CLIENT, changed, **TRUST)
    refused(ClientAuthenticationError, lambda: credential.get_token(VAULT), "AADSTS700027")


@check
def github_gives_no_id_token_to_strangers():
    error = refused(urllib.error.HTTPError, lambda: github_token(CLIENT, token="wrong"))
    equal(error.code, 401)


@check
def the_token_file_of_a_pod_gets_a_token():
    credential = WorkloadIdentityCredential(
        tenant_id=TENANT, client_id=CLIENT, token_file_path=SANDBOX["federated_token_file"], **TRUST
    )
    credential.get_token(VAULT)


@check
def a_service_connection_of_azure_devops_gets_a_token():
    # AzurePipelinesCredential speaks to Azure DevOps by https alone; the request is the one that it makes.
    pipelines = SANDBOX["azure_pipelines"]
    url = f"{pipelines['url']}?api-version=7.1&serviceConnectionId=connection"
    headers = {"authorization": f"Bearer {pipelines['token']}"}
    request = urllib.request.Request(url, data=b"", method="POST", headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        assertion = json.load(answer)["oidcToken"]
    ClientAssertionCredential(TENANT, CLIENT, lambda: assertion, **TRUST).get_token(VAULT)


@check
def the_identity_of_a_machine_gets_a_token():
    with environment(AZURE_POD_IDENTITY_AUTHORITY_HOST=SANDBOX["imds"]):
        ManagedIdentityCredential().get_token(VAULT)
        ManagedIdentityCredential(client_id=CLIENT).get_token(VAULT)


@check
def an_unknown_identity_of_a_machine_is_refused():
    with environment(AZURE_POD_IDENTITY_AUTHORITY_HOST=SANDBOX["imds"]):
        credential = ManagedIdentityCredential(client_id=TENANT)
        refused(
            (CredentialUnavailableError, ClientAuthenticationError), lambda: credential.get_token(VAULT), "Identity not found"
        )


@check
def a_machine_that_warms_up_is_asked_again():
    own = application()["client"]
    for status in (404, 429, 500):
        with environment(AZURE_POD_IDENTITY_AUTHORITY_HOST=SANDBOX["imds"]):
            with Fault("imds", status=status, times=2, contains=own):
                ManagedIdentityCredential(client_id=own, retry_backoff_factor=0.1).get_token(VAULT)


@check
def the_identity_of_a_container_gets_a_token():
    guarded = SANDBOX["identity_endpoint"]
    with environment(IDENTITY_ENDPOINT=guarded["url"], IDENTITY_HEADER=guarded["token"]):
        ManagedIdentityCredential(client_id=CLIENT).get_token(VAULT)
    with environment(IDENTITY_ENDPOINT=guarded["url"], IDENTITY_HEADER="wrong"):
        refused(ClientAuthenticationError, lambda: ManagedIdentityCredential(client_id=CLIENT).get_token(VAULT))


@check
def a_token_lives_as_long_as_its_application_says():
    own = application(token_lifetime=30)
    token = ClientSecretCredential(TENANT, own["client"], own["secret"], **TRUST).get_token(VAULT).token
    claims = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    equal(claims["exp"] - claims["iat"], 30)
    equal(claims["iss"], f"https://sts.windows.net/{TENANT}/")
    equal(claims["aud"], "https://vault.azure.net")
    equal(claims["oid"], own["object"])


@check
def entra_that_fails_for_a_while_is_asked_again():
    own = application()
    with Fault("entra", status=503, times=2, retry_after=0):
        ClientSecretCredential(TENANT, own["client"], own["secret"], **TRUST).get_token(VAULT)
