"""What a new instance is started with: from the request it serves and the operator's settings. Pure."""

from __future__ import annotations

from ujes.core.duration import parse_duration_s
from ujes.core.instance import EngineInstance
from ujes.gateway.jobs.places import user_root, work_dir
from ujes.launchers.launcher import LaunchOrder, ProcessLimits
from ujes.settings import Settings

#: The wire's option for how long an idle engine stays.
MAX_FREE_TIME = "wds.linkis.engineconn.max.free.time"


def launch_order(
    settings: Settings, instance: EngineInstance, token: str, gateway_address: str
) -> LaunchOrder:
    """The order that starts `instance`."""
    own = settings.engines.of(instance.queue.engine)
    return LaunchOrder(
        tag=instance.tag,
        engine=instance.queue.engine,
        python=own.python,
        user=instance.queue.run_as,
        account=instance.queue.run_as if settings.engines.run_as == "user" else "",
        startup={**own.options, **instance.startup},
        work_dir=work_dir(settings, instance.tag),
        roots=(user_root(settings, instance.queue.run_as),),
        gateway_address=gateway_address,
        token=token,
        env={},
        limits=ProcessLimits(
            memory_bytes=own.memory_bytes,
            cpu_s=own.cpu_s,
            open_files=own.open_files,
            processes=own.processes,
        ),
        orphan_timeout_s=settings.engines.orphan_timeout_s,
        log_bytes_max=settings.limits.log_bytes,
    )


def idle_timeout_ms(settings: Settings, instance: EngineInstance) -> int:
    """How long the instance may be idle; 0 for ever. A value nobody can read counts as not given."""
    own = settings.engines.of(instance.queue.engine)
    text = {**own.options, **instance.startup}.get(MAX_FREE_TIME)
    try:
        wanted_s = parse_duration_s(text) if text else settings.engines.idle_timeout_s
    except ValueError:
        wanted_s = settings.engines.idle_timeout_s
    return int(wanted_s * 1000)
