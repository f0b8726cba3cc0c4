"""Errors of artifacts, as the download route shows them."""

from sitin.kit.errors import SitinError


class LinkRefusedError(SitinError):
    """The address is not one that this service has signed, or its time is over."""

    code = "FST_ERR_FORBIDDEN"
    status = 403
    title = "Forbidden"


class ArtifactNotFoundError(SitinError):
    """The address is right and what it led to is deleted."""

    code = "FST_ERR_NOT_FOUND"
    status = 404
    title = "Not Found"


class StoreAwayError(SitinError):
    """The object store does not answer."""

    code = "FST_ERR_STORE_UNAVAILABLE"
    status = 503
    title = "Service Unavailable"
