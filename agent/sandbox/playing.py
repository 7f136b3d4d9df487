"""An exchange that plays faults: what the API's host and the storage host have in common."""

import time
from email.utils import formatdate

from agent.sandbox.account import Account
from agent.sandbox.exchange import Exchange, Gone
from agent.sandbox.faults import Fault
from agent.sandbox.uploads import Refused

_PAGE = b"<!doctype html><title>Gym Wi-Fi</title><p>Please accept our terms."
# Faults of a request that is carried out as it should be.
_AFTER_ALL = frozenset(
    {
        *("lost-answer", "late-answer", "late-made", "twice", "truncated-json", "slow"),
        *("interim", "more-fields"),
    }
)


class FaultyExchange(Exchange):
    """One exchange, answered as a fault says; `serve` answers it properly."""

    @property
    def account(self) -> Account:
        """The server's keys, books and faults."""
        return self.server.account  # type: ignore[attr-defined, no-any-return]  # its server has one

    def do_GET(self) -> None:  # noqa: N802  # the library calls it so
        """Serve any method alike."""
        try:
            self.serve()
        except Gone:
            pass
        except Refused as refusal:
            self.drain()
            self.refuse(refusal)
        finally:
            self.account.book.note(self.record())

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815  # the library calls them so

    def serve(self) -> None:
        """Answer one request.

        Raises:
            Refused: it breaks the contract.
        """
        raise NotImplementedError

    def refuse(self, refusal: Refused) -> None:
        """Say that a request breaks the contract."""
        self.answer(refusal.status, {"error": str(refusal), "error_code": refusal.code})

    def fault_at(self, place: str) -> Fault | None:
        """Return the fault to be played now at a place."""
        fault = self.account.plan.take(place)
        if fault is not None:
            self.account.book.on_change(f"fault   {fault.what} at {place}")
        return fault

    def play_instead(self, fault: Fault) -> bool:
        """Play a fault that leaves nothing to be done; False where the request must go on."""
        made = "made" in fault.options
        if fault.what in _AFTER_ALL or made:
            return False
        if fault.what == "silent":
            self.drain()
            self.account.stopping.wait()
            self.hang_up()
        if "early" in fault.options:
            self.close_connection = True
        else:
            self.drain(fault)
        return self.answer_fault(fault)

    def answer_fault(self, fault: Fault) -> bool:
        """Answer as a fault says; False where it says nothing of the answer."""
        if fault.status is not None:
            headers = {}
            if "retry-after" in fault.options:
                headers["Retry-After"] = _retry_after(fault.options["retry-after"])
            if fault.options.get("body") == "html":
                self.answer_raw(fault.status, _PAGE, {"Content-Type": "text/html", **headers})
            else:
                words = fault.options.get("error", f"sandbox fault {fault.what}")
                code = {"error_code": fault.options["code"]} if "code" in fault.options else {}
                self.answer(fault.status, {"error": words, **code}, headers)
        elif fault.what == "html":
            self.answer_raw(200, _PAGE, {"Content-Type": "text/html"})
        elif fault.what == "empty":
            self.answer_raw(204, b"", {})
        elif fault.what == "redirect":
            self.answer_raw(302, b"", {"Location": self._elsewhere(fault)})
        else:
            return False
        return True

    def _elsewhere(self, fault: Fault) -> str:
        """Return where a redirect leads: an address, round in a circle, or on for ever."""
        to = fault.options.get("to", "/elsewhere")
        if to == "loop":
            return self.path
        return f"{self.path}&on={time.monotonic_ns()}" if to == "chain" else to


def _retry_after(told: str) -> str:
    """Return a Retry-After header; `date+7` is the date in seven seconds."""
    kind, plus, seconds = told.partition("+")
    if kind == "date" and plus:
        return formatdate(time.time() + float(seconds), usegmt=True)
    return told
