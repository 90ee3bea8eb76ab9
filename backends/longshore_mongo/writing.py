"""Writes edits of jobs, each if its document is still as it was looked at, and waits for nobody's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from pymongo.client_session import ClientSession
from pymongo.errors import BulkWriteError, ExecutionTimeout, OperationFailure

from longshore.errors import Unavailable
from longshore_mongo.documents import Document, Edit
from longshore_mongo.failures import TIMEOUT, WRITE_CONFLICT, is_clash
from longshore_mongo.servers import Server
from longshore_mongo.statements import statements_of

_MOMENT: Final = 250
"""Milliseconds that a command may take before it is asked whether open transactions are in its way."""
_OF_EACH: Final = 2
"""Milliseconds more for each edit."""
_PATIENT: Final = 5_000
"""Milliseconds for which an insert waits for open transactions; it gets more for each document as well."""
_REMEMBERED: Final = 1_000
"""How many documents are remembered that a transaction had written."""

Marks = set[tuple[str, bytes]]
"""Edits, by the id of the document and the token of the call."""


class Written(NamedTuple):
    """What became of edits: the others were changed by somebody else meanwhile, or refused by an index."""

    landed: Marks
    locked: Marks
    """An open transaction has written these documents."""


class Writing:
    """Writes to the jobs of a namespace.

    MongoDB lets a write wait for an open transaction that has written the same document, and does not say which it
    is. So a command that takes longer than a moment is given up, and what it has not done is tried in transactions of
    our own, one for each document: there the answer comes at once. Such documents are remembered, and tried like that
    at first next time.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._contested: dict[str, None] = {}

    def write(self, edits: Sequence[Edit], session: ClientSession | None = None) -> Written:
        """One command, if nobody is in the way."""
        if not edits:
            return Written(set(), set())
        passes_over = session is None and not self._server.stands_alone
        with self._server.errors(session, is_bound=not passes_over):
            return self._passing_over(edits) if passes_over else Written(self._together(edits, session), set())

    def _passing_over(self, edits: Sequence[Edit]) -> Written:
        unsure = [edit for edit in edits if edit.id in self._contested]
        others = [edit for edit in edits if edit.id not in self._contested] if unsure else edits
        landed: Marks = set()
        try:
            landed = self._together(others, None, _MOMENT + _OF_EACH * len(others)) if others else landed
        except ExecutionTimeout:
            self.confirm()
            landed = self._landed(others, None)
            unsure += [edit for edit in others if (edit.id, edit.token) not in landed]
        alone = {(edit.id, edit.token): self._alone(edit) for edit in unsure}
        return Written(
            landed | {mark for mark, is_landed in alone.items() if is_landed},
            {mark for mark, is_landed in alone.items() if is_landed is None},
        )

    def _together(self, edits: Sequence[Edit], session: ClientSession | None, most: int | None = None) -> Marks:
        """All in one command, which may take so many milliseconds."""
        answer = self._command("update", "updates", statements_of(edits), session, most)
        check(answer)
        if answer["n"] == len(edits):
            return {(edit.id, edit.token) for edit in edits}
        return self._landed(edits, session)

    def insert(self, documents: list[Document], session: ClientSession | None = None) -> list[int]:
        """Stores new documents; answers the places of those whose id, slot or turn is another's."""
        # The server is to answer before the client gives up: then it is known what became of it.
        most = min(_PATIENT + _OF_EACH * len(documents), int(800 * self._server.timeout)) if session is None else None
        with self._server.errors(session, is_bound=False):
            try:
                return check(self._command("insert", "documents", documents, session, most))
            except ExecutionTimeout as error:
                is_unknown = len(documents) > 1 or bool((error.details or {}).get("ok"))  # Only the majority was slow.
                raise Unavailable(
                    f"{self._server.place} did not store the jobs in time: an open transaction may hold an id or a "
                    "unique key of theirs; insert them again",
                    unknown=is_unknown,
                ) from error

    def _command(
        self, name: str, elements: str, of: list[Document], session: ClientSession | None, most: int | None = None
    ) -> Document:
        jobs = self._server.collections(session).jobs
        command: Document = {name: jobs.name, elements: of, "ordered": False}
        if session is None:
            command["writeConcern"] = self._server.write_concern.document
        if most is not None:  # Not by pymongo's own bound: it waits no longer for the answer than the server may take.
            command["maxTimeMS"] = most
        answer = self._server.ask(command, session)
        unconfirmed = answer.get("writeConcernError")
        if unconfirmed is not None and unconfirmed["code"] == TIMEOUT and most is not None:
            raise ExecutionTimeout("the majority is slow", TIMEOUT, answer)
        return answer

    def _alone(self, edit: Edit) -> bool | None:
        """One edit, in a transaction of its own: whether it landed; None: another transaction has the document."""
        with self._server.errors(), self._server.client().start_session() as session:
            session.start_transaction(write_concern=self._server.write_concern)
            try:
                answer = self._command("update", "updates", statements_of([edit]), session)
                is_landed = not check(answer) and bool(answer["n"])
                session.commit_transaction()
            except OperationFailure as error:
                if error.code != WRITE_CONFLICT:
                    raise
                self._remember(edit.id)
                return None
        self._contested.pop(edit.id, None)
        return is_landed

    def _remember(self, identity: str) -> None:
        if len(self._contested) >= _REMEMBERED:
            self._contested.clear()
        self._contested[identity] = None

    def _landed(self, edits: Sequence[Edit], session: ClientSession | None) -> Marks:
        """Which edits landed, by the trace that each leaves in its document."""
        ids = {"_id": {"$in": [edit.id for edit in edits]}}
        jobs = self._server.collections(session).jobs
        with self._server.errors(session):
            found = jobs.find(ids, {"revision": 1, "birth": 1, "trace": 1}, session=session)
            documents = {document["_id"]: document for document in found}
        landed = set()
        for edit in edits:
            document = documents.get(edit.id)
            if document is None or document["birth"] != edit.birth:
                continue
            since = document["revision"] - edit.revision - 1
            trace = document.get("trace", [])
            if since >= len(trace) > 0:
                raise Unavailable(f"job {edit.id!r} was changed {since} times meanwhile; send the call again")
            if since >= 0 and trace[-1 - since] == edit.token:
                landed.add((edit.id, edit.token))
        return landed

    def confirm(self) -> None:
        """Waits until the majority has what was looked at; a write that finds nothing waits for all before it."""
        with self._server.errors():
            self._server.collections().meta.update_one({"_id": "nothing"}, {"$set": {"nothing": 0}})


def check(answer: Document) -> list[int]:
    """The places of what was refused since an id, a slot or a turn is another's; anything else is raised.

    Raises:
        BulkWriteError: something else went wrong.
    """
    refused: list[Any] = answer.get("writeErrors", [])
    unconfirmed = answer.get("writeConcernError")
    if refused or unconfirmed:
        details = {
            "writeErrors": refused,
            "writeConcernErrors": [unconfirmed] if unconfirmed else [],
            "nMatched": answer["n"],
        }
        error = BulkWriteError(details)
        if not is_clash(error):
            raise error
    return [problem["index"] for problem in refused]
