"""What is said of an exchange that ended before any HTTP answer."""

from probes.answers.error_body import LONGEST_MESSAGE
from probes.answers.facts import Answer
from probes.answers.judging import Ending, of_ending
from probes.kit.words import clean
from probes.transport.failures import of_failure, words_of


def failed_before_answer(error: BaseException | Ending) -> Answer:
    """Return the answer of an exchange that ended before any HTTP answer.

    By the exception that ended it, or by how it ended where there is none.
    """
    if isinstance(error, BaseException):
        verdict = of_failure(error)
        said = words_of(error, verdict.reason)[:LONGEST_MESSAGE]
        return Answer(
            outcome=verdict.outcome,
            reason=verdict.reason,
            message=clean(said) or type(error).__name__,
            retryable=verdict.retryable,
        )
    if error in ("complete", "cut", "reset", "closed_by_us"):
        return Answer(outcome="protocol_error", reason="reset", retryable=True)
    verdict = of_ending(error, began=False)
    return Answer(
        outcome=verdict.outcome,
        reason=verdict.reason,
        retryable=verdict.outcome in ("timeout", "protocol_error"),
    )
