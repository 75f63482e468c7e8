"""Settings: what can be set, where a value comes from, and whether it is right.

A setting has a section, a name, a type and a default; all of them are the
dataclasses of `Settings`. `load` takes, for each one, the first of

1. the option of the command (``--lake``),
2. the environment: ``LAKECORE_SECTION__NAME``, and the short forms
   ``LAKECORE_LAKE`` and ``LAKECORE_ACTOR``,
3. one file: ``--config`` or ``LAKECORE_CONFIG``; else ``lakecore.toml`` beside a
   lake that was named by option or environment; else ``lakecore.toml`` in the
   working directory,
4. the default,

and remembers which it was. An unknown section, key or variable is an error that
names the nearest known one: a misspelt limit must not look like one that holds.
This is the only package that reads settings from the environment.

>>> from lakecore.config import load
>>> loaded = load(environ={"LAKECORE_QUERY__TIMEOUT_S": "30"}, directory="/nonexistent")
>>> loaded.settings.query.timeout_s, loaded.origin("query", "timeout_s")
(30.0, 'environment LAKECORE_QUERY__TIMEOUT_S')
>>> loaded.settings.lake.uri, loaded.origin("lake", "uri")
('./lake', 'default')
"""

from lakecore.config._describe import ShownSetting, reference_markdown, show
from lakecore.config._load import CONFIG_FILE_NAME, Loaded, load
from lakecore.config._programs import (
    AuditorSettings,
    EmbeddingSettings,
    LlmSettings,
    RungSettings,
)
from lakecore.config._settings import (
    AuthSettings,
    GatewaySettings,
    JournalSettings,
    LakeSettings,
    QuerySettings,
    SearchSettings,
    Settings,
    StorageSettings,
    TruthSettings,
    WebhookSettings,
)

__all__ = [
    "CONFIG_FILE_NAME",
    "AuditorSettings",
    "AuthSettings",
    "EmbeddingSettings",
    "GatewaySettings",
    "JournalSettings",
    "LakeSettings",
    "LlmSettings",
    "Loaded",
    "QuerySettings",
    "RungSettings",
    "SearchSettings",
    "Settings",
    "ShownSetting",
    "StorageSettings",
    "TruthSettings",
    "WebhookSettings",
    "load",
    "reference_markdown",
    "show",
]
