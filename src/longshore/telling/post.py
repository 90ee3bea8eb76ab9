"""The thread of a process that stores what its runs tell, many at a time (docs/design/replies.md)."""

from __future__ import annotations

import copy
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from msgspec import Struct

from longshore.contract import SECOND, Answer, Fields, Outcome, StoredJob, Write
from longshore.errors import StoreError
from longshore.guard import Guard
from longshore.info import told_topic
from longshore.telling.stored import KIND, reply_key
from longshore.telling.voice import NEVER, Voice

_log = logging.getLogger("longshore.worker")
_DAY: Final = 86_400.0
LIFETIME: Final = 1.5 * _DAY
RENEWAL: Final = 0.5 * _DAY
"""Seconds: replies of a run that is on are written again so often, and so live for a day at least after its end."""
PAUSE: Final = 1.0
"""Seconds between two writes of what nobody waits for, and for which an answer about the fence is good."""
_LINGER: Final = 2.0
_PAGE: Final = 500


class Letter(Struct):
    """Something to be stored that somebody waits for: a reply, or fields of the job."""

    voice: Voice
    done: Future[None]
    reply: bytes | None = None
    fields: Fields = {}


class Post:
    """Stores what runs tell. Its thread is there while there is anything to store.

    Args:
        store: the application's store.
        monotonic: the process's own clock, in seconds.
    """

    def __init__(self, store: Callable[[], Guard], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._monotonic = monotonic
        self._news = threading.Condition()
        self._letters: list[Letter] = []
        self._voices: set[Voice] = set()
        self._by_run: dict[tuple[str, int], Voice] = {}
        self._thread: threading.Thread | None = None
        self._is_closing = False

    def voice_of(self, job: StoredJob) -> Voice:
        """The voice of the run that holds the job: one, however many threads of it ask at once."""
        with self._news:
            return self._by_run.setdefault((job.id, job.generation), Voice(self, job))

    def take(self, voice: Voice, *, reply: bytes | None = None, fields: Fields | None = None) -> Future[None]:
        """Stores a reply or fields, at once or with the next trip; done when they are stored."""
        letter = Letter(voice, Future(), reply, fields or {})
        with self._news:
            for name in letter.fields:
                voice.kept.pop(name, None)  # type: ignore[misc]
            self._letters.append(letter)
            self._rouse()
        return letter.done

    def keep(self, voice: Voice, fields: Fields) -> None:
        """Stores fields within about a second; the later of two values takes the place of the earlier."""
        with self._news:
            if not voice.is_over:
                voice.kept = {**voice.kept, **fields}
                self._put_off(voice)

    def unsaid(self, voice: Voice) -> Fields:
        """What may not be stored of what a run has told."""
        with self._news:
            return {**voice.sent, **voice.kept}

    def leave(self, voice: Voice) -> None:
        """A run is over."""
        with self._news:
            self._by_run.pop((voice.job.id, voice.job.generation), None)
            self._over(voice)

    def close(self) -> None:
        """Stores what is waited for, and ends the thread."""
        with self._news:
            self._is_closing = True
            self._news.notify()
            thread = self._thread
        if thread is not None:
            thread.join()
        self._is_closing = False

    def _put_off(self, voice: Voice) -> None:
        if voice.due == NEVER:
            voice.due = self._monotonic() + PAUSE
            self._voices.add(voice)
            self._rouse()

    def _over(self, voice: Voice) -> None:
        voice.is_over = True
        voice.due = voice.renew_at = NEVER
        voice.kept = {}
        self._voices.discard(voice)

    def _rouse(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="longshore-post", daemon=True)
            self._thread.start()
        else:
            self._news.notify()

    # The thread.

    def _run(self) -> None:
        while (letters := self._next()) is not None:
            try:
                self._trip(letters)
            except Exception as error:  # noqa: BLE001 - whoever waits must be told, whatever it was
                self._failed(letters, error)

    def _next(self) -> list[Letter] | None:
        """What is to be stored now, once there is something; None when the thread should end."""
        with self._news:
            idle_until = self._monotonic() + _LINGER
            while not self._letters:
                now = self._monotonic()
                due = min((min(voice.due, voice.renew_at) for voice in self._voices), default=NEVER)
                if due <= now:
                    break
                if self._is_closing or (not self._voices and now >= idle_until):
                    self._thread = None  # In the same step: who tells something from now on begins another thread.
                    return None
                self._news.wait(min(due, idle_until if not self._voices else due) - now)
            letters, self._letters = self._letters, []
        # From now on nobody can take them back; who was cancelled on an event loop has done so.
        return [letter for letter in letters if letter.done.set_running_or_notify_cancel()]

    def _trip(self, letters: list[Letter]) -> None:
        store, now = self._store(), self._monotonic()
        holding = self._save(store, letters, now)
        replies = [letter for letter in letters if letter.reply is not None and letter.voice in holding]
        if replies:
            self._write(store, replies, now)
        for letter in letters:
            if letter.voice in holding:
                letter.done.set_result(None)
            else:
                letter.done.set_exception(letter.voice.lost())
        self._renew(store, now)
        awaited = dict.fromkeys(told_topic(each.voice.job.id) for each in replies if each.voice.awaited)
        if awaited:
            self._announce(store, list(awaited))

    def _save(self, store: Guard, letters: list[Letter], now: float) -> set[Voice]:
        """Stores fields, and looks which of the runs hold their jobs."""
        voices = self._asked(letters, now)
        asked = [voice for voice, fields in voices.items() if fields or voice.looked < now - PAUSE]
        answers = store.update([voice.change(voices[voice]) for voice in asked]) if asked else []
        with self._news:
            for voice, answer in zip(asked, answers, strict=True):
                self._answered(voice, answer, now)
            self._voices = {voice for voice in self._voices if voice.is_awake()}
        return {voice for voice in voices if not voice.is_void}

    def _asked(self, letters: list[Letter], now: float) -> dict[Voice, Fields]:
        """The runs that a trip is about, each with the fields that it has told."""
        with self._news:
            due = [voice for voice in self._voices if voice.due <= now]
            voices: dict[Voice, Fields] = {voice: {} for voice in [*due, *(letter.voice for letter in letters)]}
            for letter in letters:
                voices[letter.voice] |= letter.fields
            for voice, fields in voices.items():
                voices[voice] = voice.sent = {**fields, **voice.kept}
                voice.kept, voice.due = {}, NEVER
            self._voices |= voices.keys()
        return voices

    def _answered(self, voice: Voice, answer: Answer, now: float) -> None:
        voice.sent = {}
        voice.looked, voice.awaited = now, answer.awaited
        if answer.outcome is not Outcome.MOVED:
            voice.is_void = True
            self._over(voice)

    def _write(self, store: Guard, replies: list[Letter], now: float) -> None:
        writes = []
        for letter in replies:
            voice = letter.voice
            voice.number += 1
            writes.append(_written(reply_key(voice.prefix, voice.number), letter.reply))
        store.write(writes)
        with self._news:
            for letter in replies:
                if letter.voice.renew_at == NEVER and not letter.voice.is_over:
                    letter.voice.renew_at = now + RENEWAL
                    self._voices.add(letter.voice)

    def _renew(self, store: Guard, now: float) -> None:
        with self._news:
            due = [voice for voice in self._voices if voice.renew_at <= now]
            for voice in due:
                voice.renew_at = now + RENEWAL
        for voice in due:
            after: str | None = None
            while page := store.read(KIND, prefix=voice.prefix, limit=_PAGE, after=after):
                store.write([_written(record.key, record.value) for record in page])
                after = page[-1].key

    def _announce(self, store: Guard, topics: list[str]) -> None:
        try:
            store.wake(topics)
        except StoreError as error:
            _log.warning("nobody was woken: %s", error)

    def _failed(self, letters: list[Letter], error: Exception) -> None:
        """Who waits is told; what nobody waits for is tried again."""
        _log.warning("what %d runs tell is not stored: %s", len({letter.voice for letter in letters}), error)
        for letter in letters:
            if not letter.done.done():
                letter.done.set_exception(copy.copy(error))
        with self._news:
            for voice in list(self._voices):
                if voice.sent and not voice.is_over:
                    voice.kept, voice.sent = {**voice.sent, **voice.kept}, {}
                    self._put_off(voice)
            self._voices = {voice for voice in self._voices if voice.is_awake()}


def _written(key: str, value: bytes | None) -> Write:
    return Write(KIND, key, value, lifetime=round(LIFETIME * SECOND))
