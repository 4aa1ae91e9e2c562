"""Which faults there are, by name, and how often each comes beside the others."""

from __future__ import annotations

from collections.abc import Mapping

from services.console.engines import kafka
from tests.faults import injections as do
from tests.faults.fleet import SERVICES
from tests.faults.injections import Fault
from tests.faults.world import World

SUDDEN: Mapping[str, tuple[Fault, int]] = {"kill": (do.kill, 1), "crash point": (do.crash_at_point, 1)}
"""Those that take no time, and come all the while beside the others."""
EVERYWHERE: Mapping[str, tuple[Fault, int]] = {
    "kill everyone": (do.kill_all, 1),
    "rolling restart": (do.rolling_restart, 1),
    "zombie": (do.zombie, 1),
    "mail server": (do.mail_server, 3),
    "poison": (do.poison, 2),
    "duplicates": (do.duplicates, 2),
    "late duplicates": (do.late_duplicates, 1),
    "wrong outside clock": (do.wrong_outside_clock, 1),
    "wrong clock": (do.wrong_clock, 2),
    "another release": (do.another_release, 1),
    "offsets reset": (do.offsets_reset, 1),
    **{f"store lost: {service}": (do.store_lost(service), 1) for service in SERVICES},
}
"""Name → the fault and how often it comes beside the others."""
WITH_SERVERS: Mapping[str, tuple[Fault, int]] = {
    "storm": (do.storm, 1),
    "zombie with outputs": (do.zombie_with_outputs, 1),
    "store away": (do.store_away, 2),
    "store slow": (do.store_slow, 1),
    "store answers lost": (do.store_answers_lost, 2),
}
"""Those that need a store of several workers, behind a network."""


WITH_OUR_BROKER: Mapping[str, tuple[Fault, int]] = {"broker restart": (do.broker_restart, 2)}
"""Those that need a broker that was started by ``services.console.engines.kafka``."""


WITH_OUR_DISK: Mapping[str, tuple[Fault, int]] = {"disk full": (do.disk_full, 2)}
"""Those that need stores that are files on a disk that we may fill."""


def faults_of(world: World) -> Mapping[str, tuple[Fault, int]]:
    """Return the faults that *world* can suffer."""
    if world.engine == "embedded":
        return {**EVERYWHERE, **(WITH_OUR_DISK if world.disk.mounted else {})}
    ours = world.kafka.bootstrap_servers == kafka.running()
    return {**EVERYWHERE, **WITH_SERVERS, **(WITH_OUR_BROKER if ours else {})}
