"""Every way a request or a start-up can fail, as one tree: the class holds the status, the code and the retry hint.

ServiceError                        an answer to the caller, rendered as RFC 9457 problem+json
|- BadRequest              400      the request itself cannot be parsed
|  |- EmptyBody  MalformedMultipart  MissingFile  TooManyParts
|- Unauthenticated         401      no key, or none that is known
|- Forbidden               403
|  |- ModelNotAllowed
|- NotFound                404
|  |- UnknownModel  UnknownJob
|- MethodNotAllowed        405
|- NotAcceptable           406
|- BodyTimeout             408      the upload came too slowly
|- Conflict                409      not in the state that the request needs
|  |- IdempotencyInProgress  JobNotReady  JobFailed
|- Gone                    410      it was here
|  |- JobCanceled  JobExpired
|- BodyTooLarge            413
|- UnsupportedMedia        415      not an image format that is read here
|  |- MediaTypeMismatch             the bytes are another format than the declared one
|- RangeNotSatisfiable     416
|- Unprocessable           422      understood, and refused
|  |- BadParameter  UnsupportedScale  UndecodableImage  UnsupportedPixels  TooManyPixels  OutputTooLarge
|  |- AnimatedImage  AlphaNotRepresentable  FloatUnsupported  EnsembleUnsupported  WrongSize
|  |- WrongEndpoint  IdempotencyKeyReused  FrameMismatch  TooLargeForSync
|  |- UndecodableVideo  UnsupportedVideo  VideoTooLong
|- Overloaded              429      healthy but full: come back after `retry_after_s`
|- QuotaExceeded           429      the key's own limit
|- ClientClosed            499      logged and counted only: nobody is there to read it
|- InternalError           500
|  |- InferenceFailed  ModelOutputInvalid
|     |- OutOfMemory
|- Unavailable             503      this replica cannot serve
|  |- NotReady  Draining
|- DeadlineExceeded        504
|- StorageFull             507      no room on the disk for another job
StoreError                          start-up: a file of the model store, or the jobs' folder, is not what it must be;
                                    never an HTTP answer
"""

from collections.abc import Mapping
from typing import ClassVar


class ServiceError(Exception):
    """An answer to the caller. `detail` is fit for the caller; the cause is chained for the log.

    `members` are extra members of the problem document: `limit` and `actual` wherever a limit was exceeded,
    `supported` or `available` wherever the caller could have chosen otherwise.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal error"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        detail: str,
        *,
        members: Mapping[str, object] | None = None,
        retry_after_s: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.members = dict(members or {})
        self.retry_after_s = retry_after_s
        self.headers = dict(headers or {})


class BadRequest(ServiceError):
    status, code, title = 400, "bad-request", "The request cannot be parsed"


class EmptyBody(BadRequest):
    code, title = "empty-body", "The body is empty"


class MalformedMultipart(BadRequest):
    code, title = "malformed-multipart", "The multipart body cannot be parsed"


class MissingFile(BadRequest):
    code, title = "missing-file", "There is no image in the form"


class TooManyParts(BadRequest):
    code, title = "too-many-parts", "The form has too many parts"


class Unauthenticated(ServiceError):
    status, code, title = 401, "unauthenticated", "A valid key is needed"


class Forbidden(ServiceError):
    status, code, title = 403, "forbidden", "The key does not allow this"


class ModelNotAllowed(Forbidden):
    code, title = "model-not-allowed", "The key does not allow this model"


class NotFound(ServiceError):
    status, code, title = 404, "not-found", "There is nothing at this path"


class UnknownModel(NotFound):
    code, title = "unknown-model", "No such model is served"


class UnknownJob(NotFound):
    code, title = "unknown-job", "There is no such job"


class MethodNotAllowed(ServiceError):
    status, code, title = 405, "method-not-allowed", "This path does not take that method"


class NotAcceptable(ServiceError):
    status, code, title = 406, "not-acceptable", "No format of the Accept header can be written"


class BodyTimeout(ServiceError):
    status, code, title, retryable = 408, "body-timeout", "The body came too slowly", True


class Conflict(ServiceError):
    status, code, title = 409, "conflict", "The request does not fit the state of things"


class IdempotencyInProgress(Conflict):
    code, title, retryable = "idempotency-in-progress", "A request with this Idempotency-Key is under way", True


class JobNotReady(Conflict):
    code, title, retryable = "job-not-ready", "The job has not ended yet", True


class JobFailed(Conflict):
    code, title = "job-failed", "The job has failed"


class Gone(ServiceError):
    status, code, title = 410, "gone", "It is no longer here"


class JobCanceled(Gone):
    code, title = "job-canceled", "The job was canceled"


class JobExpired(Gone):
    code, title = "job-expired", "The job's result is no longer kept"


class BodyTooLarge(ServiceError):
    status, code, title = 413, "body-too-large", "The body is too large"


class UnsupportedMedia(ServiceError):
    status, code, title = 415, "unsupported-media", "The body is not an image of a supported format"


class MediaTypeMismatch(UnsupportedMedia):
    code, title = "media-type-mismatch", "The body is not of the declared media type"


class RangeNotSatisfiable(ServiceError):
    status, code, title = 416, "range-not-satisfiable", "The file has no such bytes"


class Unprocessable(ServiceError):
    status, code, title = 422, "unprocessable", "The request cannot be carried out"


class BadParameter(Unprocessable):
    code, title = "bad-parameter", "A parameter is not valid"


class UnsupportedScale(Unprocessable):
    code, title = "unsupported-scale", "The model has no such scale"


class UndecodableImage(Unprocessable):
    code, title = "undecodable-image", "The image is damaged or incomplete"


class UnsupportedPixels(Unprocessable):
    code, title = "unsupported-pixels", "The image's pixel type is not supported"


class TooManyPixels(Unprocessable):
    code, title = "too-many-pixels", "The image is too large"


class OutputTooLarge(Unprocessable):
    code, title = "output-too-large", "The answer would be too large"


class AnimatedImage(Unprocessable):
    code, title = "animated-image", "The image has several frames"


class AlphaNotRepresentable(Unprocessable):
    code, title = "alpha-not-representable", "The output format cannot carry transparency"


class FloatUnsupported(Unprocessable):
    code, title = "float-unsupported", "The model has no graph for 16-bit pixels"


class EnsembleUnsupported(Unprocessable):
    code, title = "ensemble-unsupported", "The model has no self-ensemble"


class WrongSize(Unprocessable):
    code, title = "wrong-size", "The model takes one size only"


class WrongEndpoint(Unprocessable):
    code, title = "wrong-endpoint", "The model is served at another path"


class IdempotencyKeyReused(Unprocessable):
    code, title = "idempotency-key-reused", "The Idempotency-Key stands for another request"


class FrameMismatch(Unprocessable):
    code, title = "frame-mismatch", "The frame is of another size or depth than the clip"


class TooLargeForSync(Unprocessable):
    code, title = "too-large-for-sync", "The answer would not be ready in time"


class UndecodableVideo(Unprocessable):
    code, title = "undecodable-video", "The video is damaged or incomplete"


class UnsupportedVideo(Unprocessable):
    code, title = "unsupported-video", "This kind of video is not supported"


class VideoTooLong(Unprocessable):
    code, title = "video-too-long", "The video is too long"


class Overloaded(ServiceError):
    status, code, title, retryable = 429, "overloaded", "The service is full", True


class QuotaExceeded(ServiceError):
    status, code, title, retryable = 429, "quota-exceeded", "The key's quota is used up", True


class ClientClosed(ServiceError):
    status, code, title = 499, "client-closed", "The client went away"


class InternalError(ServiceError):
    pass


class InferenceFailed(InternalError):
    code, title, retryable = "inference-failed", "The model could not be run", True


class OutOfMemory(InferenceFailed):
    code, title = "out-of-memory", "The device has too little memory for a tile"


class ModelOutputInvalid(InternalError):
    code, title = "model-output-invalid", "The model gave an invalid result"


class Unavailable(ServiceError):
    status, code, title, retryable = 503, "unavailable", "This replica cannot serve", True


class NotReady(Unavailable):
    code, title = "not-ready", "The service is starting"


class Draining(Unavailable):
    code, title = "draining", "The service is shutting down"


class DeadlineExceeded(ServiceError):
    status, code, title, retryable = 504, "deadline-exceeded", "The deadline has passed", True


class StorageFull(ServiceError):
    status, code, title, retryable = 507, "storage-full", "There is no room for another job", True


class StoreError(Exception):
    """A file that the service is started with is not what it must be. The message names file, field and cure."""
