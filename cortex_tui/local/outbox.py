"""The durable outbox: every action that an event set off, until long after it is done.

A job is added in the transaction that commits its event, so neither is ever there without the
other. Everything that then happens to it is one transaction too, and counts in the stats of its
subscription exactly once. Methods block, and may be called from any thread but the UI's.
"""

import json
import logging
import threading
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import orjson
from sqlite_utils import Database

from cortex_tui.events import DISCARDABLE, Job, JobState
from cortex_tui.local.database import DatabaseFile
from cortex_tui.local.jobs import Claim, NewJob, Verdict
from cortex_tui.local.rows import Row
from cortex_tui.values import STORED, wire_seconds

log = logging.getLogger(__name__)

MAX_PENDING, MAX_PENDING_BYTES = 100_000, 1_024 * 1_048_576
"""Jobs that may wait, and bytes of their events; then no more events are taken, and the brokers
keep them. The last event that is taken, and dead letters that are retried, may go beyond it."""
MAX_KEPT, MAX_KEPT_BYTES = 10_000, 64 * 1_048_576
"""Finished jobs that are kept; the oldest go first."""
MAX_DEAD, MAX_DEAD_BYTES = 10_000, 256 * 1_048_576
"""Dead letters that are kept; the oldest go first."""
PRUNED_AT_ONCE = 20_000
"""Jobs deleted in one transaction, so that no event waits for long."""

_CHOSEN = (
    "product_id = ? AND id = COALESCE(?, id) AND subscription_id = COALESCE(?, subscription_id) "
    "AND state IN (SELECT value FROM json_each(?))"
)


_INSERT = (
    f"INSERT INTO outbox ({', '.join(NewJob._fields)}) "  # noqa: S608
    f"VALUES ({', '.join('?' * len(NewJob._fields))})"
)


@dataclass
class Unfinished:
    """Jobs of a product that are not done."""

    pending: int = 0
    """Those that are being attempted among them."""
    dead: dict[int, int] = field(default_factory=dict)
    """By subscription."""


@dataclass(frozen=True, slots=True)
class Load:
    """Some jobs that wait."""

    jobs: int = 0
    size: int = 0
    """Bytes of their events."""

    def plus(self, jobs: int, size: int) -> "Load":
        return Load(self.jobs + jobs, self.size + size)

    def minus(self, other: "Load") -> "Load":
        return Load(self.jobs - other.jobs, self.size - other.size)


class Outbox:
    """The jobs of one orchestrator."""

    def __init__(self, store: DatabaseFile) -> None:
        self._store = store
        self._changed = True
        """Whether there may be something to prune."""
        self._lock = threading.Lock()
        self._added = Load()
        """All that was ever added to wait."""
        self._seen = Load()
        """What waited when that was last counted, less what had been added by then."""
        self._look()

    @property
    def room(self) -> Load:
        """How much more may wait. Nothing that was committed is missing from it; what has ended
        since the last `prune` is."""
        seen = self._seen  # first: what is added in between must not be missed
        added = self._added
        return Load(MAX_PENDING, MAX_PENDING_BYTES).minus(seen).minus(added)

    @property
    def full(self) -> bool:
        """Whether as much waits as may."""
        room = self.room
        return room.jobs <= 0 or room.size <= 0

    def add(self, db: Database, jobs: Collection[NewJob]) -> None:
        """Add jobs within a transaction of the caller's, and count those that are final."""
        db.conn.executemany(_INSERT, jobs)
        _count(db, Counter((job.subscription_id, job.state) for job in jobs))
        self._changed = True

    def added(self, jobs: int, size: int) -> None:
        """So many jobs that wait, with events of so many bytes, are committed."""
        with self._lock:
            self._added = self._added.plus(jobs, size)
        self._changed = True

    def look_again(self) -> None:
        """Jobs went with what they belonged to: the next `prune` is to count."""
        self._changed = True

    # -- attempts -----------------------------------------------------------------------------

    def recover(self) -> list[str]:
        """Put back what was running when the process ended, and name the targets that jobs wait
        for."""
        with self._store.writing() as db:
            db.conn.execute("UPDATE outbox SET state = 'pending' WHERE state = 'running'")
            rows = db.conn.execute("SELECT DISTINCT target FROM outbox WHERE state = 'pending'")
            return [target for (target,) in rows]

    def turn(
        self, verdicts: Iterable[Verdict], wanted: Mapping[str, int], now: float
    ) -> tuple[list[Claim], float | None]:
        """Settle attempts that ended, and claim jobs that are due: by target at most as many as
        `wanted`, the longest due first. Also tells when the next job is due for a target that takes
        more."""
        with self._store.writing() as db:
            self._settle(db, list(verdicts), now)
            claims: list[Claim] = []
            due: list[float] = []
            for target, limit in wanted.items():
                claimed = _claim(db, target, limit, now)
                claims += claimed
                if len(claimed) == limit:
                    continue
                (next_due,) = db.conn.execute(
                    "SELECT MIN(due_at) FROM outbox WHERE state = 'pending' AND target = ?",
                    (target,),
                ).fetchone()
                if next_due is not None:
                    due.append(next_due)
        self._changed = True  # once committed: a `prune` meanwhile saw none of it
        return claims, min(due, default=None)

    def _settle(self, db: Database, verdicts: list[Verdict], now: float) -> None:
        db.conn.executemany(
            """UPDATE outbox SET state = ?, failures = ?, due_at = ?, finished_at = ?,
                content = COALESCE(?, content) WHERE id = ?""",
            [
                (
                    verdict.state.value,
                    verdict.failures(now),
                    verdict.due_at,
                    None if verdict.state is JobState.PENDING else now,
                    verdict.content,
                    verdict.claim.id,
                )
                for verdict in verdicts
            ],
        )
        _count(db, Counter((verdict.claim.subscription_id, verdict.state) for verdict in verdicts))
        db.conn.executemany(
            """UPDATE subscriptions SET attempts_failed = attempts_failed + 1, last_error = ?,
                last_error_at = ?, last_error_event_id = ? WHERE id = ?""",
            [
                (
                    verdict.reason,
                    wire_seconds(now),
                    verdict.claim.event_id,
                    verdict.claim.subscription_id,
                )
                for verdict in verdicts
                if verdict.state in (JobState.PENDING, JobState.DEAD)
            ],
        )

    # -- what a person does -------------------------------------------------------------------

    def retry(
        self,
        product_id: int,
        now: float,
        *,
        job_id: int | None = None,
        subscription_id: int | None = None,
        states: Collection[JobState] = DISCARDABLE,
    ) -> list[str]:
        """Attempt dead letters anew: one, those of a subscription, or all of the product; none
        where they are not among the `states`. Returns the target of each."""
        with self._store.writing() as db:
            rows = db.conn.execute(
                f"""UPDATE outbox SET state = 'pending', attempts = 0, finished_at = NULL,
                    due_at = ? WHERE state = 'dead' AND {_CHOSEN}
                RETURNING target, COALESCE(LENGTH(event), 0)""",  # noqa: S608
                (now, product_id, job_id, subscription_id, json.dumps(list(states))),
            ).fetchall()
        self.added(len(rows), sum(size for _, size in rows))
        return [target for target, _ in rows]

    def discard(
        self,
        product_id: int,
        *,
        job_id: int | None = None,
        subscription_id: int | None = None,
        states: Collection[JobState] = DISCARDABLE,
    ) -> int:
        """Delete jobs that wait or are dead, chosen as for `retry`. Returns how many."""
        with self._store.writing() as db:
            discarded = db.conn.execute(
                f"DELETE FROM outbox WHERE state IN ('dead', 'pending') AND {_CHOSEN}",  # noqa: S608
                (product_id, job_id, subscription_id, json.dumps(list(states))),
            ).rowcount
        self.look_again()
        return discarded

    # -- reading ------------------------------------------------------------------------------

    def jobs(
        self,
        product_id: int,
        *,
        states: Collection[JobState] = tuple(JobState),
        subscription_id: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Job]:
        """The newest jobs of a product, newest first; see `Backend.jobs`."""
        rows = self._store.page(
            """SELECT * FROM outbox WHERE product_id = ? AND id < COALESCE(?, id + 1)
                AND subscription_id = COALESCE(?, subscription_id)
                AND state IN (SELECT value FROM json_each(?)) ORDER BY id DESC LIMIT ?""",
            product_id,
            before,
            subscription_id,
            json.dumps(list(states)),
            limit,
        )
        return [_job(row) for row in rows]

    def unfinished(self) -> dict[int, Unfinished]:
        """What waits, by product; products for which nothing does are left out."""
        found: dict[int, Unfinished] = defaultdict(Unfinished)
        for row in self._store.rows(
            """SELECT product_id, subscription_id, state, COUNT(*) AS jobs FROM outbox
            WHERE state IN ('pending', 'running', 'dead') GROUP BY 1, 2, 3"""
        ):
            of_product = found[row["product_id"]]
            if row["state"] == JobState.DEAD:
                of_product.dead[row["subscription_id"]] = row["jobs"]
            else:
                of_product.pending += row["jobs"]
        return found

    # -- limits -------------------------------------------------------------------------------

    def prune(self) -> None:
        """Keep to the limits, and see whether there is room for more."""
        if not self._changed and not self.full:
            return
        self._changed = False
        try:
            self._keep(("done", "recorded"), MAX_KEPT, MAX_KEPT_BYTES)
            if dropped := self._keep(("dead",), MAX_DEAD, MAX_DEAD_BYTES):
                log.warning("dead letters over the limit were dropped, the oldest: %d", dropped)
            self._look()
        except BaseException:
            self._changed = True  # it is to be tried again
            raise

    def _look(self) -> None:
        """Count what waits, through the indexes; those that are being attempted wait too."""
        before = self._added
        [row] = self._store.rows(
            """SELECT COUNT(*) AS jobs, COALESCE(SUM(size), 0) AS size FROM (
                SELECT LENGTH(event) AS size FROM outbox WHERE state = 'pending'
                UNION ALL SELECT LENGTH(event) FROM outbox
                WHERE state IN ('pending', 'running', 'dead') AND state = 'running'
            )"""
        )
        self._seen = Load(row["jobs"], row["size"]).minus(before)

    def _keep(self, states: tuple[str, ...], jobs: int, size: int) -> int:
        """Delete all but the newest jobs in `states`, a part at a time; returns how many went.

        Looks for the newest that is to go, and not for the oldest that stays: an older one that
        ends between the look and the deletion would go too, however few there are.
        """
        chosen = json.dumps(states)
        [row] = self._store.rows(
            """SELECT MAX(id) AS newest FROM (
                SELECT id, ROW_NUMBER() OVER newest AS place,
                    SUM(COALESCE(LENGTH(event), 0) + COALESCE(LENGTH(content), 0)
                        + LENGTH(action)) OVER newest AS size
                FROM outbox WHERE state IN (SELECT value FROM json_each(?))
                WINDOW newest AS (ORDER BY id DESC)
            ) WHERE place > ? OR size > ?""",
            chosen,
            jobs,
            size,
        )
        deleted = 0
        while row["newest"] is not None:
            with self._store.writing() as db:
                part = db.conn.execute(
                    """DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE id <= ?
                        AND state IN (SELECT value FROM json_each(?)) LIMIT ?)""",
                    (row["newest"], chosen, PRUNED_AT_ONCE),
                ).rowcount
            deleted += part
            if part < PRUNED_AT_ONCE:
                break
        return deleted


def _claim(db: Database, target: str, limit: int, now: float) -> list[Claim]:
    rows = db.conn.execute(
        """UPDATE outbox SET state = 'running', attempts = attempts + 1
        WHERE id IN (SELECT id FROM outbox WHERE state = 'pending' AND target = ? AND due_at <= ?
            ORDER BY due_at LIMIT ?)
        RETURNING id, key, product_id, subscription_id, target, action, content, event, event_id,
            attempts, failures, created_at""",
        (target, now, limit),
    )
    return [Claim(*row) for row in rows]


def _count(db: Database, ended: Mapping[tuple[int, str], int]) -> None:
    """Add states that are final to the stats of their subscriptions (API reference §4); `ended`
    says how many jobs of a subscription came to a state."""
    executed, failed = Counter[int](), Counter[int]()
    for (subscription_id, state), jobs in ended.items():
        if state in (JobState.DONE, JobState.RECORDED):
            executed[subscription_id] += jobs
        elif state == JobState.DEAD:
            failed[subscription_id] += jobs
    db.conn.executemany(
        """UPDATE subscriptions SET actions_executed = actions_executed + ?,
            actions_failed = actions_failed + ? WHERE id = ?""",
        [(executed[each], failed[each], each) for each in executed.keys() | failed.keys()],
    )


def _job(row: Row) -> Job:
    times = {
        name: None if row[name] is None else datetime.fromtimestamp(row[name], UTC)
        for name in ("created_at", "due_at", "finished_at")
    }
    return Job.model_validate(
        {
            **row,
            **times,
            "action": orjson.loads(row["action"]),
            "content": None if row["content"] is None else orjson.loads(row["content"]),
            "event": None if row["event"] is None else row["event"].decode(errors="replace"),
            "failures": json.loads(row["failures"]),
        },
        context=STORED,
    )
