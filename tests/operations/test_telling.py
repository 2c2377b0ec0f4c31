"""What a load of keys tells the metrics, and what is told of frozen keys."""

import asyncio
import time

from signer.clock import FixedClock
from signer.errors import DatabaseDownError
from signer.events import Events, KeyOpened, KeysLoaded
from signer.keys.key import Origin
from signer.keys.reload import Reloader
from signer.keys.report import LoadReport, Retrieval
from signer.keys.ring import KeyRing
from signer.operations.telling import LoadStory, OthersWatch
from signer.telemetry.exposition import MetricsPage
from signer.telemetry.metrics import Metrics


class NoJournal:
    """A load outside of an event loop has no journal to write to."""


class LoaderOf:
    def __init__(self, report: LoadReport) -> None:
        self.report = report

    def load(self, progress, stop) -> LoadReport:
        begun = time.perf_counter()
        while time.perf_counter() == begun:  # any load takes some time
            pass
        return self.report


def told_of(report: LoadReport) -> tuple[list[KeyOpened], list[KeysLoaded], str]:
    events, opened, loaded = Events(), [], []
    metrics = Metrics(version="1", buckets_seconds=(1.0,), now=time.monotonic)
    metrics.subscribe(events)
    events.subscribe(KeyOpened, opened.append)
    events.subscribe(KeysLoaded, loaded.append)
    clock = FixedClock(1.0)
    Reloader(LoaderOf(report), KeyRing(), clock, listener=LoadStory(NoJournal(), clock, events)).load_now()
    return opened, loaded, MetricsPage(metrics).render().decode()


def test_a_load_is_told_with_the_time_it_took():
    _, [event], page = told_of(LoadReport((), (), (), (), 0))
    assert 0 < event.seconds < 60
    [line] = [line for line in page.splitlines() if line.startswith("holdfast_key_load_seconds ")]
    assert float(line.split()[1]) == event.seconds


def test_each_key_that_was_read_is_told_with_its_source_and_time():
    retrievals = (Retrieval(Origin.RAW_FILE, 0.25), Retrieval(Origin.KEYSTORE_FILE, 0.5))
    opened, _, page = told_of(LoadReport((), (), (), (), 0, retrievals))
    assert opened == [KeyOpened("file-raw", 0.25), KeyOpened("file-keystore", 0.5)]
    assert 'signing_private_key_retrieval_time_sum{signer="file-keystore"} 0.5' in page


async def test_what_others_freeze_is_looked_for_again_also_after_the_database_was_down() -> None:
    told, enough = list[int](), asyncio.Event()

    async def tell() -> None:
        told.append(len(told))
        if len(told) == 1:
            raise DatabaseDownError("it does not answer")
        enough.set()

    task = asyncio.create_task(OthersWatch(tell, seconds=0).run())
    async with asyncio.timeout(60):
        await enough.wait()
    task.cancel()
    assert told[:2] == [0, 1]
