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

_backendai_ctl() {
    local at='' word words=''
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case "$at $word" in
            " status"|" start"|" stop"|" restart"|" doctor"|" accept"|" reconfigure"|" config"|" config check"|" config diff"|" config show"|" db"|" db backup"|" db migrate"|" db restore"|" db status"|" etcd"|" etcd defragment"|" etcd diff"|" etcd seed"|" etcd status"|" etcd undo"|" storage"|" storage check"|" storage export"|" storage mount"|" storage status"|" admin"|" admin reset-password"|" admin show-endpoint"|" node"|" node export"|" node firewall"|" node hosts"|" node join"|" node list"|" bundle"|" bundle verify"|" image"|" image list"|" image load"|" image prune"|" image pull"|" image remove"|" image rescan"|" docker"|" logs"|" purge") at="$at $word" ;;
        esac
    done
    case "$at:${COMP_WORDS[COMP_CWORD-1]}" in
        " reconfigure:--only") words="create-user create-secrets create-certificates start-tls-proxy move-servers prepare-cache prepare-etcd prepare-database create-databases prepare-engine create-rpc-keypair create-volumes export-volumes apply-firewall confine-containers link-sessions keep-session-files seed-etcd render-configs load-initial-data provision-roles create-resource-groups register-app-proxy permit-volumes limit-sessions trust-registry push-images serve-beside register-images start-services $(_backendai_ctl_schemas)" ;;
        " db backup:--database") words="$(_backendai_ctl_databases)" ;;
        " db migrate:--database") words="$(_backendai_ctl_databases)" ;;
        " purge:--volumes") words="$(_backendai_ctl_tables storage.volumes)" ;;
        " status:--wait"|" doctor:--output"|" doctor:--sign"|" accept:--node"|" accept:--image"|" accept:--email"|" accept:--password-file"|" accept:--timeout"|" accept:--output"|" accept:--sign"|" db backup:--output"|" etcd seed:--take"|" admin reset-password:--email"|" node export:--output"|" node export:--passphrase-file"|" node join:--passphrase-file"|" image prune:--node"|" image pull:--node"|" logs:-n"|" logs:--lines"|" logs:--since") words="" ;;
        " status:"*) words="--wait --json --help" ;;
        " start:"*) words="--json --dry-run --help $(_backendai_ctl_services)" ;;
        " stop:"*) words="--json --dry-run --help $(_backendai_ctl_services)" ;;
        " restart:"*) words="--json --dry-run --help $(_backendai_ctl_services)" ;;
        " doctor:"*) words="--preflight --output --sign --json --help" ;;
        " accept:"*) words="--node --image --model --full --email --password-file --timeout --output --sign --json --help" ;;
        " reconfigure:"*) words="--json --dry-run --only --help" ;;
        " config:"*) words="check diff show --help" ;;
        " config check:"*) words="--json --help" ;;
        " config diff:"*) words="--json --help" ;;
        " config show:"*) words="--json --help" ;;
        " db:"*) words="backup migrate restore status --help" ;;
        " db backup:"*) words="--json --dry-run --database --output --help" ;;
        " db migrate:"*) words="--json --dry-run --database --help" ;;
        " db restore:"*) words="--json --dry-run --help" ;;
        " db status:"*) words="--json --help" ;;
        " etcd:"*) words="defragment diff seed status undo --help" ;;
        " etcd defragment:"*) words="--json --help" ;;
        " etcd diff:"*) words="--json --help" ;;
        " etcd seed:"*) words="--take --json --dry-run --help" ;;
        " etcd status:"*) words="--json --help" ;;
        " etcd undo:"*) words="--json --dry-run --help" ;;
        " storage:"*) words="check export mount status --help" ;;
        " storage check:"*) words="--json --help $(_backendai_ctl_tables storage.volumes)" ;;
        " storage export:"*) words="--json --dry-run --help" ;;
        " storage mount:"*) words="--json --dry-run --help $(_backendai_ctl_tables storage.volumes)" ;;
        " storage status:"*) words="--json --help" ;;
        " admin:"*) words="reset-password show-endpoint --help" ;;
        " admin reset-password:"*) words="--json --dry-run --email --help" ;;
        " admin show-endpoint:"*) words="--json --help" ;;
        " node:"*) words="export firewall hosts join list --help" ;;
        " node export:"*) words="--output --passphrase-file --json --dry-run --help $(_backendai_ctl_tables nodes)" ;;
        " node firewall:"*) words="--apply --remove --json --dry-run --help" ;;
        " node hosts:"*) words="--apply --remove --json --dry-run --help" ;;
        " node join:"*) words="--passphrase-file --force --no-reconfigure --json --dry-run --help" ;;
        " node list:"*) words="--json --help" ;;
        " bundle:"*) words="verify --help" ;;
        " bundle verify:"*) words="--allow-older --json --help" ;;
        " image:"*) words="list load prune pull remove rescan --help" ;;
        " image list:"*) words="--json --help" ;;
        " image load:"*) words="--json --help" ;;
        " image prune:"*) words="--node --dry-run --json --help" ;;
        " image pull:"*) words="--node --json --help" ;;
        " image remove:"*) words="--dry-run --json --help" ;;
        " image rescan:"*) words="--json --help" ;;
        " docker:"*) words="" ;;
        " logs:"*) words="-f --follow -n --lines --since --json --help $(_backendai_ctl_services)" ;;
        " purge:"*) words="--json --dry-run --data --volumes --yes-delete-all-data --help" ;;
        *) words="status start stop restart doctor accept reconfigure config db etcd storage admin node bundle image docker logs purge --version --debug -h --help" ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}")
}
complete -o default -F _backendai_ctl backendai-ctl
