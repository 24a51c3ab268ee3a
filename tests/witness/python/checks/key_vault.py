"""The vault, by azure-keyvault-secrets."""

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.keyvault.secrets import SecretClient

from harness import check, equal, refused
from sandbox import CERTIFICATE, CLIENT, SANDBOX, SECRET, TENANT, TRUST, Fault, application, unique


def client(client_id=CLIENT, secret=SECRET):
    """A client of the vault, which no name below vault.azure.net has."""
    credential = ClientSecretCredential(TENANT, client_id, secret, **TRUST)
    return SecretClient(
        SANDBOX["key_vault"], credential, verify_challenge_resource=False, connection_verify=CERTIFICATE
    )


@check
def a_secret_is_written_and_read_with_its_versions():
    vault, name = client(), unique("secret")
    first = vault.set_secret(name, "one", content_type="text/plain", tags={"job": "a"})
    second = vault.set_secret(name, "two")
    equal(vault.get_secret(name).value, "two")
    equal(vault.get_secret(name, first.properties.version).value, "one")
    equal(first.properties.tags, {"job": "a"})
    versions = {one.version for one in vault.list_properties_of_secret_versions(name)}
    equal(versions, {first.properties.version, second.properties.version})
    assert name in [one.name for one in vault.list_properties_of_secrets()]


@check
def an_unknown_secret_is_not_found():
    refused(ResourceNotFoundError, lambda: client().get_secret(unique("secret")), "SecretNotFound")


@check
def the_name_of_a_deleted_secret_is_taken_until_it_is_purged():
    vault, name = client(), unique("secret")
    vault.set_secret(name, "one")
    vault.begin_delete_secret(name).result()
    refused(ResourceNotFoundError, lambda: vault.get_secret(name))
    refused(ResourceExistsError, lambda: vault.set_secret(name, "two"), "deleted but recoverable")
    equal(vault.get_deleted_secret(name).name, name)
    vault.purge_deleted_secret(name)
    equal(vault.set_secret(name, "three").value, "three")


@check
def a_deleted_secret_is_recovered():
    vault, name = client(), unique("secret")
    vault.set_secret(name, "one")
    vault.begin_delete_secret(name).result()
    vault.begin_recover_deleted_secret(name).result()
    equal(vault.get_secret(name).value, "one")


@check
def a_name_with_other_characters_is_refused():
    refused(HttpResponseError, lambda: client().set_secret("under_score", "x"), "invalid name")
    refused(HttpResponseError, lambda: client().set_secret("a" * 128, "x"), "invalid name")


@check
def a_value_that_is_too_large_is_refused():
    equal(refused(HttpResponseError, lambda: client().set_secret(unique("secret"), "x" * 25_601)).status_code, 400)


@check
def a_disabled_secret_is_not_read():
    vault, name = client(), unique("secret")
    vault.set_secret(name, "one")
    vault.update_secret_properties(name, enabled=False)
    equal(refused(HttpResponseError, lambda: vault.get_secret(name)).status_code, 403)


@check
def an_application_without_rights_is_refused():
    own = application(rights={"vault": False})
    vault = client(own["client"], own["secret"])
    equal(refused(HttpResponseError, lambda: vault.get_secret("x"), "Forbidden").status_code, 403)


@check
def a_vault_that_is_busy_is_asked_again():
    vault, name = client(), unique("secret")
    with Fault("key_vault", status=429, retry_after=0, times=2, contains=name):
        vault.set_secret(name, "one")
    equal(vault.get_secret(name).value, "one")
