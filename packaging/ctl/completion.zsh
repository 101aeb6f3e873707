#compdef backendai-ctl
# Completion of backendai-ctl. Made by scripts/write-reference from its commands.

_backendai_ctl_services() {
    find /usr/lib/systemd/system -maxdepth 1 -name 'backendai-*.service' 2>/dev/null |
        sed -n '/nft\|reconfigure\|upkeep/!s!.*/backendai-\([a-z0-9-]*\)\.service$!\1!p'
}
_backendai_ctl_databases() {
    sed -n '/"database": {/,/}/s/.*"name": "\([a-z0-9-]*\)".*/\1/p' \
        /usr/share/backendai/components/*.json 2>/dev/null
}
_backendai_ctl_schemas() {
    _backendai_ctl_databases | sed 's/.*/migrate-&-schema/'
}
_backendai_ctl_tables() {
    sed -n "s/^\[$1\.\([A-Za-z0-9_-]*\)\]\$/\1/p" /etc/backendai/site.toml 2>/dev/null
}

local at='' word
local -a found
for word in "${(@)words[2,CURRENT-1]}"; do
    case "$at $word" in
        " status"|" start"|" stop"|" restart"|" doctor"|" accept"|" reconfigure"|" config"|" config check"|" config diff"|" config show"|" db"|" db backup"|" db migrate"|" db restore"|" db status"|" etcd"|" etcd defragment"|" etcd diff"|" etcd seed"|" etcd status"|" etcd undo"|" storage"|" storage check"|" storage export"|" storage mount"|" storage status"|" admin"|" admin reset-password"|" admin show-endpoint"|" node"|" node export"|" node firewall"|" node hosts"|" node join"|" node list"|" bundle"|" bundle verify"|" image"|" image list"|" image load"|" image prune"|" image pull"|" image remove"|" image rescan"|" docker"|" logs"|" purge") at="$at $word" ;;
    esac
done
case "$at:$words[CURRENT-1]" in
    " reconfigure:--only") found=('create-user:Make the services'\'' accounts' 'create-secrets:Generate secrets' 'create-certificates:Create certificates' 'start-tls-proxy:Start the TLS proxy to servers' 'move-servers:Move the data out of Debian'\''s servers' 'prepare-cache:Set up Valkey' 'prepare-etcd:Set up etcd' 'prepare-database:Set up PostgreSQL' 'create-databases:Create the databases' 'prepare-engine:Set up the container engine' 'create-rpc-keypair:Create the key pair between manager and agents' 'create-volumes:Make volumes ready' 'export-volumes:Serve volumes to the other nodes' 'apply-firewall:Load the rules of the firewall' 'confine-containers:Keep containers from nodes and servers of the site' 'link-sessions:Let sessions span nodes' 'keep-session-files:Keep the files that sessions mount' 'seed-etcd:Write settings to etcd' 'render-configs:Write the services'\'' configuration' 'load-initial-data:Load the first administrator and the presets' 'provision-roles:Make the roles of domains, projects and users' 'create-resource-groups:Make resource groups' 'register-app-proxy:Register the app proxy' 'permit-volumes:Permit volumes' 'limit-sessions:Set limits of sessions' 'trust-registry:Trust the registry of images' 'push-images:Fill the registry of images' 'serve-beside:Start what the services do without' 'register-images:Make images known to the manager' 'start-services:Start the services' $(_backendai_ctl_schemas)) ;;
    " db backup:--database") found=($(_backendai_ctl_databases)) ;;
    " db migrate:--database") found=($(_backendai_ctl_databases)) ;;
    " purge:--volumes") found=($(_backendai_ctl_tables storage.volumes)) ;;
    " status:--wait"|" doctor:--output"|" doctor:--sign"|" accept:--node"|" accept:--image"|" accept:--email"|" accept:--password-file"|" accept:--timeout"|" accept:--output"|" accept:--sign"|" db backup:--output"|" etcd seed:--take"|" admin reset-password:--email"|" node export:--output"|" node export:--passphrase-file"|" node join:--passphrase-file"|" image prune:--node"|" image pull:--node"|" logs:-n"|" logs:--lines"|" logs:--since") found=() ;;
    " status:"*) found=('--wait:Wait up to SECONDS until everything is healthy' '--json:Print JSON, for programs' '--help:Show this message and exit') ;;
    " start:"*) found=('--json:Print JSON, for programs' '--dry-run:Show what would change; change nothing' '--help:Show this message and exit' $(_backendai_ctl_services)) ;;
    " stop:"*) found=('--json:Print JSON, for programs' '--dry-run:Show what would change; change nothing' '--help:Show this message and exit' $(_backendai_ctl_services)) ;;
    " restart:"*) found=('--json:Print JSON, for programs' '--dry-run:Show what would change; change nothing' '--help:Show this message and exit' $(_backendai_ctl_services)) ;;
    " doctor:"*) found=('--preflight:Check the host only; contact no service' '--output:Write the report to DIR as JSON and text' '--sign:Write the report, and sign it with this Ed25519 private key (PEM)' '--json:Print JSON, for programs' '--help:Show this message and exit') ;;
    " accept:"*) found=('--node:Only on this node' '--image:Image of the sessions' '--model:Deploy a small language model, too: takes minutes' '--full:Try a model and upstream'\''s integration suite, which the package backendai-test brings' '--email:E-mail of an administrator' '--password-file:File with that password' '--timeout:How long a session may take to start' '--output:Write the report to DIR' '--sign:Sign the report with this Ed25519 private key (PEM)' '--json:Print JSON, for programs' '--help:Show this message and exit') ;;
    " reconfigure:"*) found=('--json:Print JSON, for programs' '--dry-run:Show what would change; change nothing' '--only:Only this step; may be repeated' '--help:Show this message and exit') ;;
    " config:"*) found=('check:Check the site file and the services'\'' files' 'diff:Show your edits of the services'\'' files, and what the next reconfigure would change in them' 'show:Show every setting of the site that is in effect, and the paths of its files' '--help:Show this message and exit') ;;
    " config check:"*) found=('--json:Print JSON, for programs' '--help:Show this message and exit') ;;
    " config diff:"*) found=('--json:Print JSON, for programs' '--help:Show this message and exit') ;;
    " config show:"*) found=('--json:Print JSON, for programs' '--help:Show this message and exit') ;;
    " db:"*) found=('backup:Dump the databases while they are in use, and read the dumps back' 'migrate:Bring the databases to the schema of the installed release' 'restore:Restore a database from the dump FILE' 'status:Show revision, state, size and last dump of every database' '--help:Show this message and exit') ;;
    " db backup:"*) found=('--json:Print JSON, for programs' '--dry-run:Show what would change; change nothing' '--database:Only this database, by its name in `db status`, such as manager' '--output:File to write, with --database' '--help:Show this message and exit') ;;
    " db migrate:"*) found=('--json:Print JSON, for programs' '--dry-run:Show what would change; change nothing' '--database:Only this database, by its name in `db status`, such as manager' '--help:Show this message and exit') ;;
    " db restore:"*) found=('--json:Print JSON, for programs' '--dry-run:Show what would change; change nothing' '--help:Show this message and exit') ;;
    " db status:"*) found=('--json:Print JSON, for programs' '--help:Show this message and exit') ;;
    " etcd:"*) found=('defragment:Compact the site'\''s own etcd, give free space back to its disk, and clear the alarm NOSPACE' 'diff:Show the keys that you changed, and what seeding would change' 'seed:Write the settings of the site file and this release; keep keys that you changed or deleted' 'status:Show the members of etcd, whether it requires a login, and whether it is seeded' 'undo:Restore the values from before the last seeding; they count as yours from then on' '--help:Show this message and exit') ;;
    " etcd defragment:"*) found=('--json:Print JSON, for programs' '--help:Show this message and exit') ;;
    " etcd diff:"*) found=('--json:Print JSON, for programs' '--help:Show this message and exit') ;;
    " etcd seed:"*) found=('--take:Overwrite your edit of KEY; may be repeated' '--json:Print JSON, for programs' '--dry-run:Show what would change; change nothing' '--help:Show this message and exit') ;;
    " etcd status:"*) found=('--json:Print JSON, for programs' '--help:Show this message and exit') ;;
    " etcd undo:"*) found=('--json:Print JSON, for programs' '--dry-run:Show what would change; change nothing' '--help:Show this message and exit') ;;
    " storage:"*) found=('check:Test all volumes, or the volume NAME, in the way the services use them' 'export:Serve the volumes that this node keeps to the other nodes, by NFS 4' 'mount:Mount the NFS volumes that are not mounted, or only the volume NAME, and prepare them' 'status:Show every volume of the site file: where it is, its mount, its space' '--help:Show this message and exit') ;;
    " storage check:"*) found=('--json:Print JSON, for programs' '--help:Show this message and exit' $(_backendai_ctl_tables storage.volumes)) ;;
    " storage export:"*) found=('--json:Print JSON, for programs' '--dry-run:Show what would change; change nothing' '--help:Show this message and exit') ;;
    " storage mount:"*) found=('--json:Print JSON, for programs' '--dry-run:Show what would change; change nothing' '--help:Show this message and exit' $(_backendai_ctl_tables storage.volumes)) ;;
    " storage status:"*) found=('--json:Print JSON, for programs' '--help:Show this message and exit') ;;
    " admin:"*) found=('reset-password:Give an account a new, generated password, and print it once' 'show-endpoint:Show where the web UI is, who signs in first and where the password is kept' '--help:Show this message and exit') ;;
    " admin reset-password:"*) found=('--json:Print JSON, for programs' '--dry-run:Show what would change; change nothing' '--email:E-mail of the account' '--help:Show this message and exit') ;;
    " admin show-endpoint:"*) found=('--json:Print JSON, for programs' '--help:Show this message and exit') ;;
    " node:"*) found=('export:Write a sealed file for the node NAME: the site file, and the secrets its roles need' 'firewall:Show nftables rules that close the ports of the site to all but its nodes and users' 'hosts:Show names and addresses of the nodes as lines for /etc/hosts' 'join:Make this host the node that FILE was exported for, and set it up' 'list:Show the nodes, what they are for, how they are, and which of them this host is' '--help:Show this message and exit') ;;
    " node export:"*) found=('--output:File to write' '--passphrase-file:Read the passphrase from the first line of FILE; `-`: standard input' '--json:Print JSON, for programs' '--dry-run:Show what would change; change nothing' '--help:Show this message and exit' $(_backendai_ctl_tables nodes)) ;;
    " node firewall:"*) found=('--apply:Load them, now and at every boot' '--remove:Take back what --apply did' '--json:Print JSON, for programs' '--dry-run:Show what would change; change nothing' '--help:Show this message and exit') ;;
    " node hosts:"*) found=('--apply:Write them to /etc/hosts' '--remove:Take them out of /etc/hosts' '--json:Print JSON, for programs' '--dry-run:Show what would change; change nothing' '--help:Show this message and exit') ;;
    " node join:"*) found=('--passphrase-file:Read the passphrase from the first line of FILE; `-`: standard input' '--force:Even if this host is another node or site, or joined by a newer file' '--no-reconfigure:Write the files and do no more' '--json:Print JSON, for programs' '--dry-run:Show what would change; change nothing' '--help:Show this message and exit') ;;
    " node list:"*) found=('--json:Print JSON, for programs' '--help:Show this message and exit') ;;
    " bundle:"*) found=('verify:Check FILE.tar by FILE.tar.sig beside it and the keys that this host trusts' '--help:Show this message and exit') ;;
    " bundle verify:"*) found=('--allow-older:Accept a release older than the newest seen here' '--json:Print JSON, for programs' '--help:Show this message and exit') ;;
    " image:"*) found=('list:List the images in the registry of this host, and whether the manager knows them' 'load:Push the images of FOLDER, an OCI image layout, and register them with the manager' 'prune:Free the space of images that the registry no longer has, in it and in this host'\''s engine' 'pull:Have this host'\''s agent, or those of nodes, fetch images ahead of the first session' 'remove:Remove images from the registry of this host and from the manager' 'rescan:Have the manager read which images are in the registries of the site' '--help:Show this message and exit') ;;
    " image list:"*) found=('--json:Print JSON, for programs' '--help:Show this message and exit') ;;
    " image load:"*) found=('--json:Print JSON, for programs' '--help:Show this message and exit') ;;
    " image prune:"*) found=('--node:Prune the engine of this node instead' '--dry-run:Show what would change; change nothing' '--json:Print JSON, for programs' '--help:Show this message and exit') ;;
    " image pull:"*) found=('--node:Pull there instead' '--json:Print JSON, for programs' '--help:Show this message and exit') ;;
    " image remove:"*) found=('--dry-run:Show what would change; change nothing' '--json:Print JSON, for programs' '--help:Show this message and exit') ;;
    " image rescan:"*) found=('--json:Print JSON, for programs' '--help:Show this message and exit') ;;
    " docker:"*) found=() ;;
    " logs:"*) found=('-f:Print new lines as they are written' '--follow:Print new lines as they are written' '-n:Show only the last N lines' '--lines:Show only the last N lines' '--since:From this time on, such as '\''10 min ago'\'' or '\''2026-11-23 08:00'\''' '--json:One JSON object a line, for programs' '--help:Show this message and exit' $(_backendai_ctl_services)) ;;
    " purge:"*) found=('--json:Print JSON, for programs' '--dry-run:Show what would change; change nothing' '--data:Also delete databases, dumps, secrets and volumes' '--volumes:With --data: delete only this volume; may be repeated' '--yes-delete-all-data:With --data: confirm the deletion' '--help:Show this message and exit') ;;
    *) found=('status:Services, their health, and what is pending' 'start:Start services' 'stop:Stop services' 'restart:Restart services' 'doctor:Check this host before or after installation' 'accept:Use the site as its users do, and report' 'reconfigure:Bring this host to what the site file says' 'config:Show, compare and check settings' 'db:Databases: state, migration, backup, restore' 'etcd:Settings kept in etcd: state, seeding, undo' 'storage:Volumes: state, mounts, exports, use' 'admin:The administrator'\''s password and address' 'node:Nodes of the site: list, export, join, firewall' 'bundle:Releases: check a tar before it is unpacked' 'image:Images that sessions start from: list, load, pull, remove' 'docker:The command docker, for sessions'\'' images and containers' 'logs:Logs of the services' 'purge:Remove what backendai-ctl made' '--version:Show the version and exit' '--debug:Log the programs that are run to standard error' '-h:Show this message and exit' '--help:Show this message and exit') ;;
esac
(( $#found )) && _describe backendai-ctl found || _files
