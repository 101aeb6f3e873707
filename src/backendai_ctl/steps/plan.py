"""All steps, in the order in which they are tried."""

from __future__ import annotations

from backendai_ctl.engine.base import Step
from backendai_ctl.facts import Facts
from backendai_ctl.steps.apply_firewall import ApplyFirewall
from backendai_ctl.steps.confine_containers import ConfineContainers
from backendai_ctl.steps.create_certificates import CreateCertificates
from backendai_ctl.steps.create_databases import CreateDatabases
from backendai_ctl.steps.create_resource_groups import CreateResourceGroups
from backendai_ctl.steps.create_rpc_keypair import CreateRpcKeypair
from backendai_ctl.steps.create_secrets import CreateSecrets
from backendai_ctl.steps.create_user import CreateUser
from backendai_ctl.steps.create_volumes import CreateVolumes
from backendai_ctl.steps.export_volumes import ExportVolumes
from backendai_ctl.steps.keep_session_files import KeepSessionFiles
from backendai_ctl.steps.limit_sessions import LimitSessions
from backendai_ctl.steps.link_sessions import LinkSessions
from backendai_ctl.steps.load_initial_data import LoadInitialData
from backendai_ctl.steps.migrate_schema import MigrateManagerSchema, MigrateOtherSchema
from backendai_ctl.steps.move_servers import MoveServers
from backendai_ctl.steps.permit_volumes import PermitVolumes
from backendai_ctl.steps.prepare_cache import PrepareCache
from backendai_ctl.steps.prepare_database import PrepareDatabase
from backendai_ctl.steps.prepare_engine import PrepareEngine
from backendai_ctl.steps.prepare_etcd import PrepareEtcd
from backendai_ctl.steps.provision_roles import ProvisionRoles
from backendai_ctl.steps.push_images import PushImages
from backendai_ctl.steps.register_app_proxy import RegisterAppProxy
from backendai_ctl.steps.register_images import RegisterImages
from backendai_ctl.steps.render_configs import RenderConfigs
from backendai_ctl.steps.seed_etcd import SeedEtcd
from backendai_ctl.steps.serve_beside import ServeBeside
from backendai_ctl.steps.start_services import StartServices
from backendai_ctl.steps.start_tls_proxy import StartTlsProxy
from backendai_ctl.steps.trust_registry import TrustRegistry

STEPS: tuple[type[Step], ...] = (
    CreateUser,
    CreateSecrets,
    CreateCertificates,
    StartTlsProxy,
    MoveServers,
    PrepareCache,
    PrepareEtcd,
    PrepareDatabase,
    CreateDatabases,
    # Before what asks for the containers' bridge, which it makes.
    PrepareEngine,
    CreateRpcKeypair,
    CreateVolumes,
    ExportVolumes,
    ApplyFirewall,
    ConfineContainers,
    LinkSessions,
    KeepSessionFiles,
    SeedEtcd,
    # With its files a service starts as soon as its own steps are done (reconfigure.Early): the
    # manager takes longest, so the steps of the coordinator are done while it starts.
    RenderConfigs,
    MigrateManagerSchema,
    LoadInitialData,
    ProvisionRoles,
    CreateResourceGroups,
    RegisterAppProxy,
    PermitVolumes,
    LimitSessions,
    MigrateOtherSchema,
    TrustRegistry,
    # While the services start: they do without the registry.
    PushImages,
    ServeBeside,
    RegisterImages,
    StartServices,
)


def steps(facts: Facts) -> list[Step]:
    """The steps of a release, in that order."""
    return [step for kind in STEPS for step in kind.made_for(facts)]
