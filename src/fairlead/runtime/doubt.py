"""What an operation may have done at a vendor before it failed there."""

from __future__ import annotations

from fairlead.errors import FairleadError, OutcomeUnknownError
from fairlead.model.outcome import Effect, Outcome


class Doubt:
    """What an operation may have done at a connection already: it closes the way to any other.

    An unknown outcome stays unknown until a repeat is done. A repeat that is refused proves nothing about the request
    that was sent before it: not by a closed port, and not by a vendor that says 'invalid' because it has one already.
    """

    #: A step that is not a read is done.
    has_acted = False
    #: How the request at hand failed when its outcome became unknown.
    unknown: FairleadError | None = None
    #: Anything was done, or may have been.
    has_any = False

    def learn(self, effect: Effect, outcome: Outcome, error: FairleadError | None) -> None:
        """Learn from the end of an exchange."""
        if outcome is Outcome.UNKNOWN:
            self.unknown = error
        elif outcome is Outcome.DONE and effect is not Effect.READ:
            self.has_acted, self.unknown = True, None
        self.has_any = self.has_acted or self.unknown is not None

    def final_error(self, error: FairleadError) -> FairleadError:
        """Return the error with which a connection is left: `error`, unless something was or may have been done."""
        if self.unknown is not None:
            message = f"Whether it was done is not known: {self.unknown.message}"
            hint = "Do not repeat it; ask the vendor what happened."
        elif self.has_acted:
            message, hint = f"A part of it was done, and then: {error.message}", "Do not repeat it from the start."
        else:
            error.outcome = error.outcome or Outcome.NOT_DONE
            return error
        final = OutcomeUnknownError(message, hint=hint, outcome=Outcome.UNKNOWN)
        final.response = error.response
        return final


#: The doubt about an operation that has done nothing yet: it is everybody's, and learns nothing.
NO_DOUBT = Doubt()
