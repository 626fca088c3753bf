"""Everything that can go wrong with one request, and nothing about HTTP.

```
VeilError
├ UploadRejected            the picture cannot be taken
│ ├ UploadTooLarge            more bytes than the deployment allows
│ ├ UploadIncomplete          the client stopped sending
│ ├ UnsupportedFormat         not one of the formats that Veil reads
│ ├ CorruptImage              damaged, truncated or lying about itself
│ ├ TooManyPixels             over the pixel limit, refused from the header
│ ├ TooMuchMemory             more than all pictures may take together here, as its header says
│ └ UnsupportedFrames         more than one page or frame
├ InvalidRequest            options that are wrong; `problems` points at each
├ Unauthenticated           no key, or none that is known
├ NotPermitted              a known key, or an open deployment, that may not do this
├ ReceiptNotFound
├ ReceiptNotSigned          there was no signing key when it was made
├ SampleNotFound
├ KeyNotFound
├ Overloaded                queue full, or waited too long
├ QuotaExceeded             the key has used up what it may use in a minute
├ ClientDisconnected        nobody is left to answer
├ DetectionFailed           a detector did not answer every tile
│ ├ DetectorUnavailable
│ ├ DetectorTimeout
│ ├ DetectorContractBroken
│ └ ModelUnproven             a model's file, or what it answers for known pictures, is not the catalog's
├ OutputRefused             the finished bytes did not pass their own check
├ ResidualFound             something is still to be seen in the finished picture, and the policy refuses that
└ RecordStoreUnavailable    the receipt could not be stored
```

`detail` is public text: it never holds a setting's value, a file name or anything read from the picture. What an
operator needs beyond it goes to `cause`, which is logged and never answered.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class OptionProblem:
    """One wrong option: a JSON pointer to it (`/threshold.face`) and what would be right."""

    pointer: str
    detail: str


class VeilError(Exception):
    """Base of every failure that ends a request; `slug` names the problem for good, `retry_after` is in seconds."""

    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "The request failed inside the service"
    default_detail: ClassVar[str] = "The request failed inside the service. No image was released."

    def __init__(
        self, detail: str | None = None, *, cause: str | None = None, retry_after: float | None = None
    ) -> None:
        self.detail = detail or self.default_detail
        self.cause = cause
        self.retry_after = retry_after
        super().__init__(self.detail)


class UploadRejected(VeilError):
    slug = "upload-rejected"
    title = "The upload cannot be processed"
    default_detail = "The upload cannot be processed."


class UploadTooLarge(UploadRejected):
    slug = "upload-too-large"
    title = "The upload is larger than this service accepts"
    default_detail = "The upload is larger than this service accepts."


class UploadIncomplete(UploadRejected):
    slug = "upload-incomplete"
    title = "The upload ended before it was complete"
    default_detail = "The upload ended or stalled before it was complete."


class UnsupportedFormat(UploadRejected):
    slug = "unsupported-format"
    title = "The upload is not an image format that this service reads"
    default_detail = "The content is none of the formats read: JPEG, PNG, WebP, TIFF, BMP, AVIF, HEIC and JPEG 2000."


class CorruptImage(UploadRejected):
    slug = "corrupt-image"
    title = "The image is damaged"
    default_detail = "The image is damaged, truncated or contradicts its own header."


class TooManyPixels(UploadRejected):
    slug = "too-many-pixels"
    title = "The image has more pixels than this service accepts"
    default_detail = "The image has more pixels than this service accepts."


class TooMuchMemory(UploadRejected):
    slug = "too-much-memory"
    title = "The image needs more memory than this service has for images"
    default_detail = "To be processed, the image needs more memory than this service has for images."


class UnsupportedFrames(UploadRejected):
    slug = "unsupported-frames"
    title = "The image has more than one page or frame"
    default_detail = "The image has more than one page or frame; send each as a picture of its own."


class InvalidRequest(VeilError):
    slug = "invalid-request"
    title = "The request has invalid options"
    default_detail = "One or more options are invalid; see problems."

    def __init__(self, problems: Sequence[OptionProblem] = (), detail: str | None = None) -> None:
        super().__init__(detail)
        self.problems = tuple(problems)


class Unauthenticated(VeilError):
    slug = "unauthenticated"
    title = "An API key is needed"
    default_detail = "Send a valid key as 'Authorization: Bearer <key>' or in the header 'api-key'."


class NotPermitted(VeilError):
    slug = "not-permitted"
    title = "This is not permitted"
    default_detail = "The API key does not permit this."


class ReceiptNotFound(VeilError):
    slug = "receipt-not-found"
    title = "There is no such receipt"
    default_detail = "There is no receipt with this id."


class KeyNotFound(VeilError):
    slug = "key-not-found"
    title = "There is no such API key"
    default_detail = "There is no API key with this id."


class ReceiptNotSigned(VeilError):
    slug = "receipt-not-signed"
    title = "The receipt is not signed"
    default_detail = "The receipt is not signed: the deployment had no signing key when it was made."


class SampleNotFound(VeilError):
    slug = "sample-not-found"
    title = "There is no such sample"
    default_detail = "There is no sample with this id."


class Overloaded(VeilError):
    slug = "overloaded"
    title = "The service is at its limit"
    default_detail = "All places are taken; try again after the time in Retry-After."


class QuotaExceeded(VeilError):
    slug = "quota-exceeded"
    title = "The quota of the API key is used up"
    default_detail = "The API key has used up its quota; try again after the time in Retry-After."

    def __init__(self, policies: Sequence[str] = (), *, retry_after: float | None = None) -> None:
        super().__init__(retry_after=retry_after)
        self.policies = tuple(policies)


class ClientDisconnected(VeilError):
    slug = "client-disconnected"
    title = "The client closed the connection"
    default_detail = "The client closed the connection before the answer was ready."


class DetectionFailed(VeilError):
    slug = "detection-failed"
    title = "Detection failed"
    default_detail = "A detector did not answer for every part of the image. No image was released."


class DetectorUnavailable(DetectionFailed):
    slug = "detector-unavailable"
    title = "A detector is not available"
    default_detail = "A detector is not available at the moment. No image was released."


class DetectorTimeout(DetectionFailed):
    slug = "detector-timeout"
    title = "A detector did not answer in time"
    default_detail = "A detector did not answer in time. No image was released."


class DetectorContractBroken(DetectionFailed):
    slug = "detector-contract-broken"
    title = "A detector broke its contract"
    default_detail = "A detector answered with something that its contract does not allow. No image was released."


class ModelUnproven(DetectionFailed):
    slug = "model-unproven"
    title = "A model is not proven to be the right one"
    default_detail = "A model does not answer known pictures as it must. No image was released."


class OutputRefused(VeilError):
    slug = "output-refused"
    title = "The finished image did not pass its check"
    default_detail = "The finished image did not pass the check that each output must pass. No image was released."


class ResidualFound(VeilError):
    slug = "residual-found"
    title = "Something is still to be seen in the finished image"
    default_detail = "The detectors found something outside the masks of the finished image. No image was released."


class RecordStoreUnavailable(VeilError):
    slug = "record-store-unavailable"
    title = "The record store is not available"
    default_detail = "The receipt could not be stored, so no image was released."
