#!/bin/sh
trap 'echo "refused: ${0##*/} is cut short; unpack the whole tar again" >&2; exit 1' EXIT
# install.sh - put this bundle on a host: check it, keep it, make it a source of packages, install roles.
#
#   ./install.sh [--role NAME]... [--site FILE] [options]
#   ./install.sh --list-roles | --serve ADDRESS:PORT | --uninstall-source
#
# It opens no network connection (but --serve, which waits for them), never asks, and can be run again at
# any time: what is done stays done, and an interrupted run is finished.
#
#   --role NAME           install this role or component (see --list-roles); may be given several times.
#                         Without it the source is added, for apt or dnf to install from
#   --site FILE           put FILE at /etc/backendai/site.toml before the services are configured
#   --replace-site        do so even where another site.toml is; that one is kept as site.toml.replaced
#   --fingerprint FPR     refuse unless this key signed the bundle: 40 hex digits, spaces allowed, or a
#                         file that holds them
#   --allow-older         accept a release older than the newest seen on this host
#   --no-recommends       with --other-sources: do not install what packages of the distribution recommend;
#                         packages of this bundle recommend nothing
#   --other-sources       let apt or dnf take from the other sources of this host too
#   --no-install          only keep the bundle and add the source
#   --dry-run             stop after the checks
#   --root DIR            install into the system in DIR, for images: nothing is started or configured
#                         there, its first boot does that
#   --list-roles          show what can be installed
#   --serve ADDRESS:PORT  after that, offer the repositories to other nodes by HTTP, until interrupted
#   --uninstall-source    remove the source and its key; packages, bundles and settings stay
#   -h, --help            show this
#
# Exit status: 0 done; 1 refused, failed, or installed but not configured (the reason and a hint are
# printed); 2 wrong request.
set -u
here=$(cd "$(dirname "$0")" && pwd -P) || exit 1
# shellcheck source=packaging/bundle/lib/checks.sh
. "$here/lib/checks.sh"
whole checks || exit 127
# shellcheck source=packaging/bundle/lib/host.sh
. "$here/lib/host.sh"
whole host
# shellcheck source=packaging/bundle/lib/packages.sh
. "$here/lib/packages.sh"
whole packages

roles='' site='' trial='' replace_site='' no_recommends='' other_sources='' no_install='' dry_run='' serve='' action=install unconfigured=''

while [ $# -gt 0 ]; do
  case $1 in
    --*=*)
      option=${1%%=*} value=${1#*=}
      shift
      set -- "$option" "$value" "$@"
      continue
      ;;
    --role | --site | --fingerprint | --root | --serve)
      [ -n "${2:-}" ] || wrong "$1 needs a value"
      case $1 in
        --role) roles="$roles ${2#backendai-}" ;;
        --site) site=$2 ;;
        --fingerprint) read_fingerprint "$2" ;;
        --root) root=$2 ;;
        --serve) serve=$2 ;;
      esac
      shift
      ;;
    --replace-site) replace_site=yes ;;
    --allow-older) allow_older=yes ;;
    --no-recommends) no_recommends=yes ;;
    --other-sources) other_sources=yes ;;
    --no-install) no_install=yes ;;
    --dry-run) dry_run=yes ;;
    --list-roles) action=list ;;
    --uninstall-source) action=uninstall ;;
    -h | --help)
      usage
      finished=yes
      exit 0
      ;;
    *) wrong "unknown option or argument: $1" ;;
  esac
  shift
done

check_request() {
  if [ -n "$no_install" ] && [ -n "$roles$site$serve" ]; then
    wrong "--no-install excludes --role, --site and --serve, which install packages"
  fi
  if [ -n "$root" ]; then
    root=$(cd "$root" 2>/dev/null && pwd -P) || wrong "--root: there is no such folder"
    [ "$root" != / ] || root=''
    [ -z "$serve" ] || [ -z "$root" ] || wrong "--serve and --root exclude each other"
  fi
  if [ -n "$site" ]; then [ -r "$site" ] || wrong "--site: $site cannot be read"; fi
  if [ -n "$serve" ]; then
    address=${serve%:*} port=${serve##*:}
    address=${address#[}
    address=${address%]}
    case $port in '' | *[!0-9]* | "$serve") wrong "--serve: '$serve' is not ADDRESS:PORT" "such as --serve 10.0.0.5:8080" ;; esac
  fi
  detect_host
  [ -n "$family" ] || refuse "${root:-this host} has neither dpkg nor rpm" "install on Debian or Enterprise Linux"
  [ -d "$here/$family" ] || refuse "this bundle holds no packages for $family, from which ${root:-this host} installs" \
    "get the bundle whose name has -linux- in it, which holds all"
  # shellcheck source=packaging/bundle/lib/apt.sh
  . "$here/lib/$family.sh"
  whole "$family"
  must check_links
  [ "$action" = list ] || [ "$(id -u)" -eq 0 ] || refuse "only root can install" "sudo ./install.sh ..."
}

in_root() { # Run a command in the system in $root; its /proc and /dev are there only for that command.
  # With $trial, so are the bundle and $work, in its /tmp.
  if [ -z "$root" ]; then
    "$@" 9>&-
    return
  fi
  # shellcheck disable=SC2016  # for the inner shell
  unshare --mount --propagation private -- /bin/sh -c '
    root=$1 trial=$2 here=$3 work=$4
    shift 4
    [ -e "$root/proc/self" ] || mount -t proc proc "$root/proc" || exit 1
    [ -c "$root/dev/urandom" ] || mount --rbind /dev "$root/dev" || exit 1
    if [ -n "$trial" ]; then
      # Both may lie in the /tmp of the root: they are taken from where they are seen from outside.
      mkdir -p "$work/in" && mount -t tmpfs -o mode=755 trial "$work/in" && mkdir "$work/in/bundle" "$work/in/work" &&
        mount --bind "$here" "$work/in/bundle" && mount --bind "$work" "$work/in/work" && mount --rbind "$work/in" "$root/tmp" || exit 1
    fi
    exec chroot "$root" "$@"' sh "$root" "$trial" "$here" "$work" "$@" 9>&-
}

place() { # FILE TARGET: move a finished file to its place, whole or not at all
  if ! { install -D -m 644 "$1" "$2.new" && mv "$2.new" "$2"; }; then
    refuse "$2 cannot be written" "free space in $(dirname "$2") and run it again"
  fi
}

place_keys() { # Those of this bundle, which was signed by one that the host trusts or was told
  # An older release may not know of the next key, nor that one was revoked.
  if [ "$known" = fine ] && { [ "$number" -lt "$newest" ] || newer_keyring; }; then return; fi
  for ending in asc gpg; do
    cp "$work/backendai-archive-keyring.$ending" "$stage/keys.$ending" ||
      refuse "the keys cannot be copied to $stage" "free space there and run it again"
    place "$stage/keys.$ending" "$root${keyring_file%.gpg}.$ending"
  done
}

remove_keys() { rm -f "$root$keyring_file" "$root${keyring_file%.gpg}.asc"; }

plan() {
  step=0
  say "No change yet. This will:"
  planned "check the signature, every file and the release number of"
  say "     $(describe)"
  if [ -n "$roles$site$serve" ]; then planned "wait for a running apt or dnf, simulate the installation, check the free space"; fi
  [ -z "$dry_run" ] || return 0
  planned "keep it in $copy"
  planned "add the source $root$source_file, with its key"
  if [ -n "$site" ]; then planned "put $site at $root/etc/backendai/site.toml, checked by backendai-ctl, which is installed first"; fi
  if [ -n "$roles" ]; then planned "install:$roles"; fi
  if [ -n "$serve" ]; then planned "offer it to other nodes at http://$serve/, with the Python of backendai-runtime, which is installed"; fi
}

planned() {
  step=$((step + 1))
  say "  $step. $*"
}

keep() { # Copy to a partial folder, check the copy, rename. What a killed run copied is used.
  if [ "$here" = "$copy" ]; then return; fi
  partial=$copy.partial
  if [ -d "$copy" ]; then
    if [ "$(present "$copy")" = "$(cat "$work/listed")" ] && sound "$copy"; then
      say "The bundle is already in $copy."
      return
    fi
    rm -rf "$partial"
    mv "$copy" "$partial"
  fi
  say "Copying the bundle to $copy."
  mkdir -p "$partial" || refuse "$partial cannot be made" "free space in $state"
  present "$partial" | comm -13 "$work/listed" - | while IFS= read -r file; do rm -f "$partial/$file"; done
  sound "$partial" || copy_missing
  sync -f "$partial" 2>/dev/null || sync
  mv "$partial" "$copy" || refuse "$copy cannot be made" "look at $state and run it again"
}

sums() { # MANIFEST, and the sums of the two files that it cannot list
  cat "$work/MANIFEST"
  (cd "$work" && sha256sum MANIFEST MANIFEST.sig)
}

sound() { # FOLDER: leave in $work/todo the sums of files that are missing or wrong in it
  sums >"$work/sums"
  hash_files "$1" "$work/sums" "$work/kept"
  sed -n 's/: OK$//p' "$work/kept" >"$work/ok"
  awk 'FILENAME == ARGV[1] { ok[$0] = 1; next } !(substr($0, 67) in ok)' "$work/ok" "$work/sums" >"$work/todo" ||
    refuse "the copy cannot be compared" "free space in ${TMPDIR:-/tmp} and run it again"
  [ ! -s "$work/todo" ]
}

copy_missing() { # By one process, for there are hundreds of files; names have no blanks, see check_names
  cut -c 67- "$work/todo" >"$work/files"
  (cd "$partial" && xargs rm -rf <"$work/files")
  : >"$work/said"
  {
    (cd "$here" && xargs cp -v --parents -t "$partial" <"$work/files" 2>"$work/said") ||
      printf '%s\n' "${copy##*/} is not whole" >>"$work/said"
  } | grep -v '^[^ ]* -> ' | progress copied "$(wc -l <"$work/files")" >/dev/null # without the folders
  if [ -s "$work/said" ]; then
    head -n 1 "$work/said" >&2
    refuse "the bundle could not be copied to $partial ($(mib "$(free_kib "$state")") are free)" \
      "free space there and run it again: what was copied is used"
  fi
  # Those of the medium may be any.
  find "$partial" -type d -exec chmod 755 {} + && find "$partial" -type f ! -name '*.sh' -exec chmod 644 {} + &&
    find "$partial" -type f -name '*.sh' -exec chmod 755 {} +
  sound "$partial" || refuse "$(cut -c 67- "$work/todo" | head -n 1) is damaged in the copy" \
    "run it again; if it stays so, the disk or the medium is faulty: dmesg"
}

remember() { # The newest release seen, so that none is taken back to an older one unasked.
  [ "$number" -gt "$newest" ] || return 0
  printf '%s\n' "$number" >"$work/newest"
  place "$work/newest" "$state/newest"
}

install_site() { # backendai-ctl, which comes first, checks it before any service is configured by it
  [ -n "$site" ] || return 0
  file=$root/etc/backendai/site.toml
  before=same # what to put back if it has faults: nothing, where this very file was there
  if [ ! -f "$file" ]; then before=none; elif ! same_file "$site" "$file"; then before=other; fi
  if [ "$before" = other ]; then place "$file" "$file.replaced"; fi
  place "$site" "$file"
  BACKENDAI_NO_CONFIGURE=1 install_packages backendai-ctl
  in_root backendai-ctl config check
  case $? in 0) return 0 ;; 2) ;; *)
    say "The site file is fine; correct what is listed above in the files of services."
    return 0
    ;;
  esac
  case $before in other) mv "$file.replaced" "$file" ;; none) rm -f "$file" ;; esac
  refuse "$site has faults, listed above; no service was configured by it" "correct it and run it again"
}

asked_packages() { # What is to be installed, in words
  packages=''
  for role in $roles; do packages="$packages backendai-$role"; done
  if [ -z "$packages" ] && [ -n "$serve" ]; then packages=backendai-runtime; fi # its Python serves
  if [ -z "$packages" ] && [ -n "$site" ]; then packages=backendai-ctl; fi      # checks it
  # Brings later keys.
  if [ -n "$packages" ] && is_package archive-keyring; then packages="$packages backendai-archive-keyring"; fi
  printf '%s\n' "$packages"
}

finish_configuration() { # Packages fail no package manager: what they left pending is tried, and told, here
  if [ -z "$roles$site" ] || [ -n "$root" ] || [ ! -d /run/systemd/system ]; then return 0; fi
  if [ ! -e /var/lib/backendai/ctl/pending ] || [ ! -x /usr/bin/backendai-ctl ]; then return 0; fi
  # It stays pending, too, where a host is to join a site, or where its operator wants it so.
  case $(backendai-ctl hook triggered --dry-run || echo failed) in *"not configured:"*) return 0 ;; esac
  backendai-ctl reconfigure || unconfigured=yes
}

offer() {
  for_other_nodes "http://$serve"
  say "Serving $copy at http://$serve/ until interrupted."
  rm -rf "$work"
  exec 9>&-
  cd "$copy" || exit 1
  exec setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs -- \
    /opt/backendai/runtime/bin/python3.13 -I -m http.server --bind "$address" "$port"
}

uninstall() {
  remove_source
  say "Removed the source and its key. Packages stay installed, settings stay, and"
  say "the bundles in $state too: rm -r $state/backendai-* frees their space."
}

need_tools
check_request
case $action in
  list)
    begin_work
    take_copies
    read_facts
    list_roles
    finished=yes
    exit 0
    ;;
  uninstall)
    uninstall
    finished=yes
    exit 0
    ;;
esac

# --- no change yet
begin_work
take_copies
read_facts
copy_inside=${state#"$root"}/$name stage_inside=${state#"$root"}/.stage
copy=$root$copy_inside stage=$root$stage_inside
plan
# Whatever would hinder an installation is told here, by a check in lib/ that ends in `refuse`.
must check_signature
must check_names
must check_files
must check_number
must check_host
must check_age
must check_account
must check_roles
must check_versions
must check_site
packages=$(asked_packages)
must check_locks
must check_packages
must check_own_accounts
must check_space
if [ -n "$dry_run" ]; then
  say "Fine. Nothing was changed."
  finished=yes
  exit 0
fi

# --- changes
mkdir -p "$state" || refuse "$state cannot be made" "free space and run it again"
exec 9>"$state/.lock"
if command -v flock >/dev/null; then
  flock -n 9 || refuse "another install.sh is running on this host" "wait for it and run this again"
fi
keep
add_source
remember
if [ -n "$packages" ]; then before_packages; fi
install_site
# shellcheck disable=SC2086  # words
if [ -n "$packages" ]; then install_packages $packages; fi
rm -rf "$stage"
finish_configuration
if [ -n "$unconfigured" ]; then
  printf 'installed, but not configured: %s\nhint: %s\n' "the reason is listed above; see: backendai-ctl status" \
    "correct that, then run: backendai-ctl reconfigure" >&2
  finished=yes
  if [ -n "$serve" ]; then offer; fi # other nodes may be what it waits for
  exit 1
fi
say "Done: Backend.AI $version is a package source on this host${roles:+, installed:$roles}."
if [ -z "$roles" ] && [ -n "$others" ]; then say "Packages of $others are installed here: --role NAME upgrades all of them to $version."; fi
if [ -z "$roles" ] && [ -z "$serve" ]; then say "Next: ./install.sh --list-roles, then --role NAME; or use apt or dnf as for any package."; fi
if [ -n "$roles" ] && [ -z "$root" ] && [ -x /usr/bin/backendai-ctl ]; then say "Next: backendai-ctl status --wait 300"; fi
finished=yes
if [ -n "$serve" ]; then offer; fi
exit 0
