"""Blobs, by azure-storage-blob: what azurite is trusted with, and the proxy in front of it."""

import datetime

from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceModifiedError
from azure.core.exceptions import ServiceResponseError
from azure.identity import ClientSecretCredential
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas

from harness import check, equal, refused
from sandbox import CERTIFICATE, CLIENT, SANDBOX, SECRET, TENANT, TRUST, Fault, application, unique

BLOB = SANDBOX.get("blob")


def blob_check(function):
    """A sandbox without Node.js has no blobs."""
    return check(function) if BLOB else function


def with_identity(client_id=CLIENT, secret=SECRET):
    """A client that shows a token."""
    credential = ClientSecretCredential(TENANT, client_id, secret, **TRUST)
    return BlobServiceClient(BLOB["endpoint"], credential, connection_verify=CERTIFICATE)


def with_key(**options):
    """A client that signs with the account's key."""
    return BlobServiceClient(BLOB["endpoint"], BLOB["key"], connection_verify=CERTIFICATE, **options)


@blob_check
def an_identity_writes_and_reads():
    container = with_identity().create_container(unique("box"))
    container.upload_blob("a", b"x" * 5_000_000)
    equal(len(container.download_blob("a").readall()), 5_000_000)
    equal(container.download_blob("a", offset=10, length=5).readall(), b"xxxxx")


@blob_check
def a_token_for_another_service_is_refused():
    class Other:
        def get_token(self, *_, **__):
            return ClientSecretCredential(TENANT, CLIENT, SECRET, **TRUST).get_token("https://vault.azure.net/.default")

    service = BlobServiceClient(BLOB["endpoint"], Other(), connection_verify=CERTIFICATE)
    refused(ClientAuthenticationError, lambda: service.create_container(unique("box")))


@blob_check
def a_token_that_has_expired_is_refused():
    own = application(token_lifetime=0)
    refused(ClientAuthenticationError, lambda: with_identity(own["client"], own["secret"]).create_container(unique("box")))


@blob_check
def a_container_is_shared_by_a_signature():
    service, name = with_key(), unique("box")
    service.create_container(name).upload_blob("a", b"shared")
    signature = generate_container_sas(
        BLOB["account"],
        name,
        account_key=BLOB["key"],
        permission=ContainerSasPermissions(read=True, list=True),
        expiry=datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1),
    )
    guest = BlobServiceClient(f"{BLOB['endpoint']}?{signature}", connection_verify=CERTIFICATE).get_container_client(name)
    equal([one.name for one in guest.list_blobs()], ["a"])
    equal(guest.download_blob("a").readall(), b"shared")
    refused(HttpResponseError, lambda: guest.delete_blob("a"))


@blob_check
def an_identity_gets_a_key_to_sign_with():
    # Azurite 3.35 does not know signatures by such a key in the form of this client.
    now = datetime.datetime.now(datetime.timezone.utc)
    key = with_identity().get_user_delegation_key(now, now + datetime.timedelta(hours=1))
    equal(key.signed_service, "b")


@blob_check
def lines_are_appended_and_conditions_hold():
    blob = with_key().create_container(unique("box")).get_blob_client("lines")
    blob.create_append_blob()
    tag = blob.append_block(b"one\n")["etag"]
    blob.append_block(b"two\n")
    equal(blob.download_blob().readall(), b"one\ntwo\n")
    from azure.core import MatchConditions

    refused(
        ResourceModifiedError,
        lambda: blob.append_block(b"x", etag=tag, match_condition=MatchConditions.IfNotModified),
    )
    refused(HttpResponseError, lambda: blob.append_block(b"x", appendpos_condition=0), "AppendPositionConditionNotMet")


@blob_check
def a_lease_keeps_others_out():
    blob = with_key().create_container(unique("box")).get_blob_client("control")
    blob.upload_blob(b"1")
    lease = blob.acquire_lease(15)
    refused(HttpResponseError, lambda: blob.upload_blob(b"2", overwrite=True), "LeaseIdMissing")
    blob.upload_blob(b"2", overwrite=True, lease=lease)
    refused(HttpResponseError, lambda: blob.acquire_lease(15), "LeaseAlreadyPresent")
    lease.release()


@blob_check
def storage_that_is_busy_is_asked_again():
    name = unique("box")
    with Fault("blob", status=503, retry_after=0, times=2, contains=name):
        with_key(initial_backoff=0, increment_base=0).create_container(name)


@blob_check
def an_answer_that_is_lost_has_had_its_effect():
    name = unique("box")
    blob = with_key(retry_total=0).create_container(name).get_blob_client("lines")
    blob.create_append_blob()
    with Fault("blob", cut="answer", times=1, contains=f"{name}/lines?comp=appendblock"):
        refused(ServiceResponseError, lambda: blob.append_block(b"one\n"))
    equal(blob.download_blob().readall(), b"one\n")
    with Fault("blob", cut="request", times=1, contains=f"{name}/lines?comp=appendblock"):
        refused(ServiceResponseError, lambda: blob.append_block(b"two\n"))
    equal(blob.download_blob().readall(), b"one\n")
