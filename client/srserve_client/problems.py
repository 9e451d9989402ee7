"""Problems: a class for each code that the service answers with, the service's own tree of errors.

Made by `python -m generate` from service/errors.py; changes by hand are lost.
"""

from srserve_client.errors import ProblemError


class BadRequest(ProblemError):
    """The request cannot be parsed."""

    status, code, retryable = 400, "bad-request", False
    title = "The request cannot be parsed"


class EmptyBody(BadRequest):
    """The body is empty."""

    status, code, retryable = 400, "empty-body", False
    title = "The body is empty"


class MalformedMultipart(BadRequest):
    """The multipart body cannot be parsed."""

    status, code, retryable = 400, "malformed-multipart", False
    title = "The multipart body cannot be parsed"


class MissingFile(BadRequest):
    """There is no image in the form."""

    status, code, retryable = 400, "missing-file", False
    title = "There is no image in the form"


class TooManyParts(BadRequest):
    """The form has too many parts."""

    status, code, retryable = 400, "too-many-parts", False
    title = "The form has too many parts"


class Unauthenticated(ProblemError):
    """A valid key is needed."""

    status, code, retryable = 401, "unauthenticated", False
    title = "A valid key is needed"


class Forbidden(ProblemError):
    """The key does not allow this."""

    status, code, retryable = 403, "forbidden", False
    title = "The key does not allow this"


class ModelNotAllowed(Forbidden):
    """The key does not allow this model."""

    status, code, retryable = 403, "model-not-allowed", False
    title = "The key does not allow this model"


class NotFound(ProblemError):
    """There is nothing at this path."""

    status, code, retryable = 404, "not-found", False
    title = "There is nothing at this path"


class UnknownModel(NotFound):
    """No such model is served."""

    status, code, retryable = 404, "unknown-model", False
    title = "No such model is served"


class UnknownJob(NotFound):
    """There is no such job."""

    status, code, retryable = 404, "unknown-job", False
    title = "There is no such job"


class MethodNotAllowed(ProblemError):
    """This path does not take that method."""

    status, code, retryable = 405, "method-not-allowed", False
    title = "This path does not take that method"


class NotAcceptable(ProblemError):
    """No format of the Accept header can be written."""

    status, code, retryable = 406, "not-acceptable", False
    title = "No format of the Accept header can be written"


class BodyTimeout(ProblemError):
    """The body came too slowly."""

    status, code, retryable = 408, "body-timeout", True
    title = "The body came too slowly"


class Conflict(ProblemError):
    """The request does not fit the state of things."""

    status, code, retryable = 409, "conflict", False
    title = "The request does not fit the state of things"


class IdempotencyInProgress(Conflict):
    """A request with this Idempotency-Key is under way."""

    status, code, retryable = 409, "idempotency-in-progress", True
    title = "A request with this Idempotency-Key is under way"


class JobNotReady(Conflict):
    """The job has not ended yet."""

    status, code, retryable = 409, "job-not-ready", True
    title = "The job has not ended yet"


class JobFailed(Conflict):
    """The job has failed."""

    status, code, retryable = 409, "job-failed", False
    title = "The job has failed"


class Gone(ProblemError):
    """It is no longer here."""

    status, code, retryable = 410, "gone", False
    title = "It is no longer here"


class JobCanceled(Gone):
    """The job was canceled."""

    status, code, retryable = 410, "job-canceled", False
    title = "The job was canceled"


class JobExpired(Gone):
    """The job's result is no longer kept."""

    status, code, retryable = 410, "job-expired", False
    title = "The job's result is no longer kept"


class BodyTooLarge(ProblemError):
    """The body is too large."""

    status, code, retryable = 413, "body-too-large", False
    title = "The body is too large"


class UnsupportedMedia(ProblemError):
    """The body is not an image of a supported format."""

    status, code, retryable = 415, "unsupported-media", False
    title = "The body is not an image of a supported format"


class MediaTypeMismatch(UnsupportedMedia):
    """The body is not of the declared media type."""

    status, code, retryable = 415, "media-type-mismatch", False
    title = "The body is not of the declared media type"


class RangeNotSatisfiable(ProblemError):
    """The file has no such bytes."""

    status, code, retryable = 416, "range-not-satisfiable", False
    title = "The file has no such bytes"


class Unprocessable(ProblemError):
    """The request cannot be carried out."""

    status, code, retryable = 422, "unprocessable", False
    title = "The request cannot be carried out"


class BadParameter(Unprocessable):
    """A parameter is not valid."""

    status, code, retryable = 422, "bad-parameter", False
    title = "A parameter is not valid"


class UnsupportedScale(Unprocessable):
    """The model has no such scale."""

    status, code, retryable = 422, "unsupported-scale", False
    title = "The model has no such scale"


class UndecodableImage(Unprocessable):
    """The image is damaged or incomplete."""

    status, code, retryable = 422, "undecodable-image", False
    title = "The image is damaged or incomplete"


class UnsupportedPixels(Unprocessable):
    """The image's pixel type is not supported."""

    status, code, retryable = 422, "unsupported-pixels", False
    title = "The image's pixel type is not supported"


class TooManyPixels(Unprocessable):
    """The image is too large."""

    status, code, retryable = 422, "too-many-pixels", False
    title = "The image is too large"


class OutputTooLarge(Unprocessable):
    """The answer would be too large."""

    status, code, retryable = 422, "output-too-large", False
    title = "The answer would be too large"


class AnimatedImage(Unprocessable):
    """The image has several frames."""

    status, code, retryable = 422, "animated-image", False
    title = "The image has several frames"


class AlphaNotRepresentable(Unprocessable):
    """The output format cannot carry transparency."""

    status, code, retryable = 422, "alpha-not-representable", False
    title = "The output format cannot carry transparency"


class FloatUnsupported(Unprocessable):
    """The model has no graph for 16-bit pixels."""

    status, code, retryable = 422, "float-unsupported", False
    title = "The model has no graph for 16-bit pixels"


class EnsembleUnsupported(Unprocessable):
    """The model has no self-ensemble."""

    status, code, retryable = 422, "ensemble-unsupported", False
    title = "The model has no self-ensemble"


class WrongSize(Unprocessable):
    """The model takes one size only."""

    status, code, retryable = 422, "wrong-size", False
    title = "The model takes one size only"


class WrongEndpoint(Unprocessable):
    """The model is served at another path."""

    status, code, retryable = 422, "wrong-endpoint", False
    title = "The model is served at another path"


class IdempotencyKeyReused(Unprocessable):
    """The Idempotency-Key stands for another request."""

    status, code, retryable = 422, "idempotency-key-reused", False
    title = "The Idempotency-Key stands for another request"


class FrameMismatch(Unprocessable):
    """The frame is of another size or depth than the clip."""

    status, code, retryable = 422, "frame-mismatch", False
    title = "The frame is of another size or depth than the clip"


class TooLargeForSync(Unprocessable):
    """The answer would not be ready in time."""

    status, code, retryable = 422, "too-large-for-sync", False
    title = "The answer would not be ready in time"


class UndecodableVideo(Unprocessable):
    """The video is damaged or incomplete."""

    status, code, retryable = 422, "undecodable-video", False
    title = "The video is damaged or incomplete"


class UnsupportedVideo(Unprocessable):
    """This kind of video is not supported."""

    status, code, retryable = 422, "unsupported-video", False
    title = "This kind of video is not supported"


class VideoTooLong(Unprocessable):
    """The video is too long."""

    status, code, retryable = 422, "video-too-long", False
    title = "The video is too long"


class Overloaded(ProblemError):
    """The service is full."""

    status, code, retryable = 429, "overloaded", True
    title = "The service is full"


class QuotaExceeded(ProblemError):
    """The key's quota is used up."""

    status, code, retryable = 429, "quota-exceeded", True
    title = "The key's quota is used up"


class InternalError(ProblemError):
    """Internal error."""

    status, code, retryable = 500, "internal-error", False
    title = "Internal error"


class InferenceFailed(InternalError):
    """The model could not be run."""

    status, code, retryable = 500, "inference-failed", True
    title = "The model could not be run"


class OutOfMemory(InferenceFailed):
    """The device has too little memory for a tile."""

    status, code, retryable = 500, "out-of-memory", True
    title = "The device has too little memory for a tile"


class ModelOutputInvalid(InternalError):
    """The model gave an invalid result."""

    status, code, retryable = 500, "model-output-invalid", False
    title = "The model gave an invalid result"


class Unavailable(ProblemError):
    """This replica cannot serve."""

    status, code, retryable = 503, "unavailable", True
    title = "This replica cannot serve"


class NotReady(Unavailable):
    """The service is starting."""

    status, code, retryable = 503, "not-ready", True
    title = "The service is starting"


class Draining(Unavailable):
    """The service is shutting down."""

    status, code, retryable = 503, "draining", True
    title = "The service is shutting down"


class DeadlineExceeded(ProblemError):
    """The deadline has passed."""

    status, code, retryable = 504, "deadline-exceeded", True
    title = "The deadline has passed"


class StorageFull(ProblemError):
    """There is no room for another job."""

    status, code, retryable = 507, "storage-full", True
    title = "There is no room for another job"


PROBLEMS: dict[str, type[ProblemError]] = {
    "alpha-not-representable": AlphaNotRepresentable,
    "animated-image": AnimatedImage,
    "bad-parameter": BadParameter,
    "bad-request": BadRequest,
    "body-timeout": BodyTimeout,
    "body-too-large": BodyTooLarge,
    "conflict": Conflict,
    "deadline-exceeded": DeadlineExceeded,
    "draining": Draining,
    "empty-body": EmptyBody,
    "ensemble-unsupported": EnsembleUnsupported,
    "float-unsupported": FloatUnsupported,
    "forbidden": Forbidden,
    "frame-mismatch": FrameMismatch,
    "gone": Gone,
    "idempotency-in-progress": IdempotencyInProgress,
    "idempotency-key-reused": IdempotencyKeyReused,
    "inference-failed": InferenceFailed,
    "internal-error": InternalError,
    "job-canceled": JobCanceled,
    "job-expired": JobExpired,
    "job-failed": JobFailed,
    "job-not-ready": JobNotReady,
    "malformed-multipart": MalformedMultipart,
    "media-type-mismatch": MediaTypeMismatch,
    "method-not-allowed": MethodNotAllowed,
    "missing-file": MissingFile,
    "model-not-allowed": ModelNotAllowed,
    "model-output-invalid": ModelOutputInvalid,
    "not-acceptable": NotAcceptable,
    "not-found": NotFound,
    "not-ready": NotReady,
    "out-of-memory": OutOfMemory,
    "output-too-large": OutputTooLarge,
    "overloaded": Overloaded,
    "quota-exceeded": QuotaExceeded,
    "range-not-satisfiable": RangeNotSatisfiable,
    "storage-full": StorageFull,
    "too-large-for-sync": TooLargeForSync,
    "too-many-parts": TooManyParts,
    "too-many-pixels": TooManyPixels,
    "unauthenticated": Unauthenticated,
    "unavailable": Unavailable,
    "undecodable-image": UndecodableImage,
    "undecodable-video": UndecodableVideo,
    "unknown-job": UnknownJob,
    "unknown-model": UnknownModel,
    "unprocessable": Unprocessable,
    "unsupported-media": UnsupportedMedia,
    "unsupported-pixels": UnsupportedPixels,
    "unsupported-scale": UnsupportedScale,
    "unsupported-video": UnsupportedVideo,
    "video-too-long": VideoTooLong,
    "wrong-endpoint": WrongEndpoint,
    "wrong-size": WrongSize,
}
