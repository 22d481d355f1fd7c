"""The operator's settings: one TOML file, `UJES_*` variables, flags - the later wins.

`HOME/ujes.toml` is read when it is there; nested names join with two underscores in the environment
(`UJES_LIMITS__INSTANCES=20`). Every field is documented here and listed in `docs/settings.md`.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)


class LimitSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    running_per_queue: int = Field(
        10, ge=1, description="Jobs of one user, creator and engine that may run at once."
    )
    running_per_engine_queue: dict[str, int] = Field(
        {"shell": 60}, description="The same for particular engines."
    )
    running_per_creator_engine: int = Field(
        10_000, ge=1, description="Jobs of one creator and engine over all users."
    )
    instances: int = Field(50, ge=1, description="Engine instances that may live at once.")
    queued_per_queue: int = Field(
        1000, ge=1, description="Jobs that may wait in one queue; one more is refused with 12001."
    )
    launch_failures: int = Field(
        2, ge=1, description="Failed engine launches after which the waiting job fails."
    )
    body_bytes: int = Field(4 * 1024 * 1024, ge=1024, description="Largest request body.")
    json_depth: int = Field(64, ge=4, description="Deepest nesting of a request body.")
    log_bytes: int = Field(
        64 * 1024 * 1024,
        ge=4096,
        description="Largest log of one job; later lines are left out, results go on.",
    )
    page_rows: int = Field(100_000, ge=1, description="Largest page of a result set.")
    file_bytes: int = Field(30 * 1024 * 1024, ge=1024, description="Largest text file or log shown whole.")


class EngineSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    python: str = Field("", description="Python that runs this engine; empty for the gateway's own.")
    memory_bytes: int = Field(0, ge=0, description="Address space of one engine process; 0 for no limit.")
    cpu_s: int = Field(
        0, ge=0, description="CPU seconds of one engine process over its life; 0 for no limit."
    )
    open_files: int = Field(
        0, ge=0, description="Open files of one engine process; 0 for the system's limit."
    )
    processes: int = Field(
        0, ge=0, description="Processes of the user while the engine runs; 0 for no limit."
    )
    options: dict[str, str] = Field({}, description="Options every instance of this engine starts with.")


class EnginesSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    run_as: Literal["gateway", "user"] = Field(
        "gateway",
        description="Account of the operating system engines run as: `gateway`, the gateway's own; `user`, "
        "the one named like the job's run-as user, which needs a gateway that runs as root.",
    )
    idle_timeout_s: float = Field(
        300.0,
        ge=0,
        description="An idle engine leaves after this; 0 never. "
        "A job's own `wds.linkis.engineconn.max.free.time` wins.",
    )
    start_timeout_s: float = Field(60.0, gt=0, description="An engine that is not ready by then has failed.")
    interrupt_grace_s: float = Field(
        1.0,
        ge=0,
        description="A killed job whose engine does not let go by then takes its engine process with it.",
    )
    stop_terminate_s: float = Field(
        0.5, ge=0, description="Time between terminate and kill when an engine is stopped."
    )
    adopt_timeout_s: float = Field(
        10.0, gt=0, description="After a restart, engines that do not dial in by then are stopped."
    )
    orphan_timeout_s: float = Field(
        300.0, gt=0, description="An engine without a gateway leaves after this, or when its job has ended."
    )
    prewarm: dict[str, int] = Field(
        {}, description="Idle engines to keep ready, `user/creator/engine` to how many."
    )
    each: dict[str, EngineSettings] = Field({}, description="Settings of one engine type, by its name.")

    def of(self, engine: str) -> EngineSettings:
        return self.each.get(engine) or EngineSettings()


class LoginSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    idle_timeout_s: float = Field(7200.0, gt=0, description="A login ends after this long without a call.")
    admins: list[str] = Field([], description="Further administrators, besides users made with --admin.")
    logins_max: int = Field(10_000, ge=1, description="Logins kept at once; the longest idle one makes room.")


class PushSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    sockets_per_user: int = Field(
        32, ge=1, description="WebSockets one user may have open; one more is refused."
    )
    idle_timeout_s: float = Field(
        3600.0, gt=0, description="A WebSocket over which nothing went for this long is closed with 1001."
    )
    slow_reader_s: float = Field(
        30.0, gt=0, description="A WebSocket whose reader takes nothing for this long is cut off."
    )


class Settings(BaseSettings):
    """Everything an operator may choose."""

    model_config = SettingsConfigDict(
        env_prefix="UJES_", env_nested_delimiter="__", frozen=True, extra="ignore"
    )

    home: Path = Field(Path("~/.ujes"), description="Folder that holds everything UJES keeps.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(9001, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    database: str = Field("", description="SQLAlchemy URL of the store; empty for SQLite in HOME.")
    logs_dir: Path | None = Field(None, description="Folder of job logs; HOME/logs when empty.")
    results_dir: Path | None = Field(None, description="Folder of result sets; HOME/results when empty.")
    users_dir: Path | None = Field(None, description="Folder of the users' own files; HOME/users when empty.")
    limits: LimitSettings = LimitSettings()
    engines: EnginesSettings = EnginesSettings()
    login: LoginSettings = LoginSettings()
    push: PushSettings = PushSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        sources: tuple[PydanticBaseSettingsSource, ...] = (init_settings, env_settings)
        file = _toml_file(init_settings())
        return (*sources, _toml_source(settings_cls, file)) if file else sources

    @property
    def logs(self) -> Path:
        return self.logs_dir or self.home / "logs"

    @property
    def results(self) -> Path:
        return self.results_dir or self.home / "results"

    @property
    def users(self) -> Path:
        return self.users_dir or self.home / "users"

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self._database_file}"

    @property
    def has_database(self) -> bool:
        """Whether there likely is one: without, this is the first start on this home."""
        return bool(self.database) or self._database_file.exists()

    @property
    def _database_file(self) -> Path:
        return self.home / "ujes.db"


def _toml_file(given: dict[str, Any]) -> Path | None:
    named = given.get("config") or os.environ.get("UJES_CONFIG")
    if named:
        if not Path(named).is_file():
            raise SettingsError(f"there is no settings file {named}")
        return Path(named)
    home = Path(given.get("home") or os.environ.get("UJES_HOME") or "~/.ujes").expanduser()
    default = home / "ujes.toml"
    return default if default.is_file() else None


def _toml_source(settings_cls: type[BaseSettings], file: Path) -> TomlConfigSettingsSource:
    """Raises `SettingsError` naming the file, and the line when its text is broken."""
    try:
        source = TomlConfigSettingsSource(settings_cls, file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SettingsError(f"{file}: {error}") from None
    unknown = sorted(set(source.toml_data) - set(settings_cls.model_fields))
    if unknown:
        raise SettingsError(f"{file}: there is no setting {', '.join(unknown)}")
    return source


def load(**given: Any) -> Settings:
    """Settings from file, environment and `given`; `config` names the file. Folders become absolute."""
    settings = Settings(**{name: value for name, value in given.items() if value is not None})
    return settings.model_copy(update={"home": settings.home.expanduser().absolute()})
